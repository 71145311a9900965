"use strict";
(() => {
  const rows = [...document.querySelectorAll("#list > li")];
  const list = document.getElementById("list");
  const form = document.getElementById("find");

  if (list && form) {
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const values = rows.map((row) => row.dataset.v.split(",").map(Number));
    const told = document.getElementById("found");
    const show = () => {
      const words = form.q.value.toLowerCase().split(/\s+/).filter(Boolean);
      const kind = form.o.value;
      let count = 0;
      rows.forEach((row, place) => {
        const fits = (!kind || row.dataset.o === kind) && words.every((word) => texts[place].includes(word));
        row.hidden = !fits;
        count += fits;
      });
      told.textContent = count === rows.length ? `${count} shown` : `${count} of ${rows.length} shown`;
    };
    const sort = () => {
      const [by, way] = form.by.value.split(" ").map(Number);
      const order = rows.map((_, place) => place);
      order.sort((one, other) => way * (values[one][by] - values[other][by]) || one - other);
      list.append(...order.map((place) => rows[place]));
    };
    form.addEventListener("input", show);
    form.by.addEventListener("change", sort);
    form.addEventListener("submit", (event) => event.preventDefault());
    const open = () => {
      const facts = /^#b\d+$/.test(location.hash) && document.querySelector(location.hash);
      if (!facts) return;
      form.reset();
      show();
      facts.closest("details").open = true;
      facts.scrollIntoView();
    };
    addEventListener("hashchange", open);
    form.hidden = false;
    show();
    sort();
    open();
  }

  const units = [["d", 86400], ["h", 3600], ["min", 60]];
  const lasting = (seconds) => {
    const place = units.findIndex(([, size]) => seconds >= size);
    if (place < 0) return `${Math.floor(seconds)} s`;
    const [unit, size] = units[place];
    return `${Math.floor(seconds / size)} ${unit}`;
  };
  const times = [...document.querySelectorAll("time[datetime]")];
  const written = times.map((time) => time.textContent);
  times.forEach((time) => {
    time.title = `${time.dateTime.replace("T", " ").replace("Z", "")} UTC`;
  });
  const spoken = (ahead, due) => {
    if (ahead > 0) return `in ${lasting(ahead)}`;
    if (due) return "by now";
    return ahead > -10 ? "just now" : `${lasting(-ahead)} ago`;
  };
  const refresh = () => {
    times.forEach((time, place) => {
      const ahead = (Date.parse(time.dateTime) - Date.now()) / 1000;
      const old = ahead < -2 * 86400;  // then its date says more
      time.textContent = old ? written[place] : spoken(ahead, time.classList.contains("due"));
    });
  };
  addEventListener("beforeprint", () => times.forEach((time, place) => (time.textContent = written[place])));
  addEventListener("afterprint", refresh);
  refresh();
  setInterval(refresh, 15000);
})();
