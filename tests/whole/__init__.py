"""The whole service: the template deployed into the local AWS, its real handlers, processes."""
