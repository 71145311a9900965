// What is wrong with the page as it is now laid out, a line each: what reads badly (contrast), what
// is cut off, what lies over something else. The window must be as high as the page.
(() => {
  const MOST = 20;
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  const known = new Map();

  // Any colour of CSS as [red, green, blue, opacity].
  function colour(text) {
    if (!known.has(text)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = text;
      brush.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
      known.set(text, [r, g, b, a / 255]);
    }
    return known.get(text);
  }

  const over = (top, below) => [
    ...[0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])), 1,
  ];

  function luminance([r, g, b]) {
    const [x, y, z] = [r, g, b].map((c) => {
      const s = c / 255;
      return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  }

  function contrast(a, b) {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  }

  function paint(element) {
    const style = getComputedStyle(element);
    const shape = element instanceof SVGElement && !(element instanceof SVGSVGElement);
    const [r, g, b, a] = colour(shape ? style.fill : style.backgroundColor);
    return [r, g, b, a * style.opacity * (shape ? style.fillOpacity : 1)];
  }

  // What is painted below a text: of the elements at its middle those that are not above it.
  function ground(element, { x, y }) {
    const there = document.elementsFromPoint(x, y);
    const at = there.indexOf(element);
    const below = at < 0 ? ancestors(element) : there.slice(at);
    const layers = [];
    for (const each of below) {
      if (each instanceof SVGTextContentElement) continue;
      layers.push(painted(each));
      if (layers.at(-1)[3] > 0.999) break;
    }
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const bare = dark && getComputedStyle(document.documentElement).colorScheme.includes("dark");
    const none = bare ? [18, 18, 18, 1] : [255, 255, 255, 1];
    return layers.reduceRight((under, layer) => over(layer, under), none);
  }

  function ancestors(element) {
    const all = [];
    for (let each = element; each; each = each.parentElement) all.push(each);
    return all;
  }

  const remembered = (find) => {
    const answers = new Map();
    return (element) => {
      if (!answers.has(element)) answers.set(element, find(element));
      return answers.get(element);
    };
  };

  const painted = remembered(paint);
  const opacity = remembered((element) =>
    getComputedStyle(element).opacity * (element.parentElement ? opacity(element.parentElement) : 1));

  // Out of sight on purpose: for ears only, or until the keyboard comes to it.
  const unseen = remembered((element) => {
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    const away = /^(absolute|fixed)$/.test(style.position) &&
      (style.clip !== "auto" || style.clipPath !== "none" || box.width <= 1 || box.right <= 0 || box.bottom <= 0);
    return away || (element.parentElement ? unseen(element.parentElement) : false);
  });

  const seen = (element) => element.checkVisibility(
    { checkOpacity: true, checkVisibilityCSS: true, contentVisibilityAuto: true });

  // What hides of an element what is beyond its edges: [edges, whether … stands for that].
  const frames = remembered((element) => {
    if (!element || element === document.body) return [];
    const style = getComputedStyle(element), beyond = style.overflowX + style.overflowY;
    if (/auto|scroll/.test(beyond)) return [];
    const outer = frames(element.parentElement);
    const inside = element instanceof SVGElement && !(element instanceof SVGSVGElement);
    if (inside || !/hidden|clip/.test(beyond)) return outer;
    return [[element.getBoundingClientRect(), style.textOverflow === "ellipsis" || style.webkitLineClamp !== "none"], ...outer];
  });

  function texts() {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const node = walker.currentNode, element = node.parentElement;
      if (!node.data.trim() || element.closest("script, style, option, title, desc, noscript")) continue;
      if (!seen(element) || unseen(element)) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const boxes = [...range.getClientRects()].filter((box) => box.width > 1 && box.height > 1);
      if (boxes.length) found.push({ element, boxes, text: node.data.trim().slice(0, 60) });
    }
    return found;
  }

  function faint({ element, boxes, text }, said = getComputedStyle(element)) {
    if (element.matches(":disabled")) return null;
    const of = element instanceof SVGElement ? said.fill : said.color;
    const [box] = boxes;
    const below = ground(element, { x: box.x + box.width / 2, y: box.y + box.height / 2 });
    const [r, g, b, a] = colour(of);
    const ratio = contrast(over([r, g, b, a * opacity(element)], below), below);
    const size = parseFloat(said.fontSize), bold = said.fontWeight >= 700;
    const least = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    return ratio < least - 0.01
      ? `faint (${ratio.toFixed(2)}, ${of} on ${below.slice(0, 3).map(Math.round)}): ${text}` : null;
  }

  // Beyond the window, or beyond an ancestor that hides what is beyond it without a word.
  function cut({ element, boxes, text }) {
    for (const [edge, told] of frames(element)) {
      if (told) return null;
      if (boxes.some((box) => box.left < edge.left - 1 || box.right > edge.right + 1 ||
                              box.top < edge.top - 3 || box.bottom > edge.bottom + 3)) {
        return `cut off: ${text}`;
      }
    }
    const width = document.documentElement.clientWidth;
    const scrolled = ancestors(element).some((each) => /auto|scroll/.test(getComputedStyle(each).overflowX));
    return !scrolled && boxes.some((box) => box.left < -1 || box.right > width + 1)
      ? `beyond the window: ${text}` : null;
  }

  function shown({ element, boxes, text }) {
    return boxes.map((box) => {
      let { left, right, top, bottom } = box;
      for (const [edge] of frames(element)) {
        [left, right] = [Math.max(left, edge.left), Math.min(right, edge.right)];
        [top, bottom] = [Math.max(top, edge.top), Math.min(bottom, edge.bottom)];
      }
      return { element, text, box: { left, right, top, bottom, height: bottom - top } };
    });
  }

  // Lines are set closer than their letters are high, so a little is no overlap.
  function overlaps(all) {
    const boxes = all.flatMap(shown);
    boxes.sort((a, b) => a.box.top - b.box.top);
    const found = [];
    boxes.forEach((one, i) => {
      for (const other of boxes.slice(i + 1)) {
        if (other.box.top >= one.box.bottom) break;
        if (other.element === one.element) continue;
        const wide = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
        const high = Math.min(one.box.bottom, other.box.bottom) - other.box.top;
        if (wide > 2 && high > 0.4 * Math.min(one.box.height, other.box.height)) {
          found.push(`one over the other: ${one.text} / ${other.text}`);
        }
      }
    });
    return found;
  }

  function fields() {
    return [...document.querySelectorAll("input, select, textarea")]
      .filter((each) => seen(each) && !unseen(each) && !/checkbox|radio/.test(each.type))
      .flatMap((element) => {
        const one = { element, boxes: [element.getBoundingClientRect()], text: element.name || element.id };
        const hint = element.placeholder && getComputedStyle(element, "::placeholder");
        return [faint(one), hint && faint({ ...one, text: element.placeholder }, hint)];
      });
  }

  // Shapes may let the pointer through, and would not be found below a text.
  const all = new CSSStyleSheet();
  all.replaceSync("* { pointer-events: auto !important }");
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, all];
  const there = texts();
  const found = [...there.map((each) => faint(each)), ...fields(), ...there.map(cut), ...overlaps(there)];
  document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== all);
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.unshift(`${root.scrollWidth} wide in ${root.clientWidth}`);
  return { texts: there.length, wrong: [...new Set(found.filter(Boolean))].slice(0, MOST) };
})()
