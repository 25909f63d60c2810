"use strict";
/* One timeline: lanes as SVG, linear or symmetric-logarithmic time, zoom, pan, a strip to choose a part, tooltips,
   a keyboard cursor, and the table of records. All texts are set as text nodes. Times are nanoseconds. */
(function () {
  const NS = "http://www.w3.org/2000/svg";
  const MS = 1e6;
  const LANES = [["state", "State"], ["api", "API calls"], ["job", "Jobs"], ["wait", "Monitor wait"],
    ["process", "Process"], ["qmp", "QMP"], ["event", "Events"], ["fault", "Faults"]];
  const PATHS = {
    up: "M0-5L5 4H-5Z", down: "M0 5L5-4H-5Z", diamond: "M0-6L5.5 0 0 6-5.5 0Z", square: "M-4-4H4V4H-4Z",
    cross: "M-4-5.5L0-1.5 4-5.5 5.5-4 1.5 0 5.5 4 4 5.5 0 1.5-4 5.5-5.5 4-1.5 0-5.5-4Z", flag: "M-1-7H8L5.5-3.5 8 0H1V7H-1Z",
    dot: "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0Z",
  };

  const MODES = [["linear", "Linear", "Linear time"], ["log", "Log", "Logarithmic time from the begin of the wait"],
    ["end", "Log, end", "Logarithmic time around the end of the wait"]];

  function svg(tag, attributes, parent, text) {
    const node = document.createElementNS(NS, tag);
    for (const name in attributes) { node.setAttribute(name, attributes[name]); }
    if (text !== undefined) { node.textContent = text; }
    if (parent) { parent.appendChild(node); }
    return node;
  }

  function html(tag, attributes, parent, text) {
    const node = document.createElement(tag);
    for (const name in attributes) { node.setAttribute(name, attributes[name]); }
    if (text !== undefined) { node.textContent = text; }
    if (parent) { parent.appendChild(node); }
    return node;
  }

  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = "11px system-ui, sans-serif";
  function wide(text) { return ruler.measureText(text).width + 6; }

  function bold(text) { return ruler.measureText(text).width * 1.12 + 3; }

  function trim(value, digits) { return value.toLocaleString("en-US", { maximumFractionDigits: digits }); }

  function span(ns) {
    const size = Math.abs(ns);
    if (size >= 1e9) { return trim(ns / 1e9, 9) + " s"; }
    if (size >= MS) { return trim(ns / MS, 6) + " ms"; }
    if (size >= 1e3) { return trim(ns / 1e3, 3) + " µs"; }
    return size ? trim(ns, 0) + " ns" : "0";
  }

  /* -- time and its two scales ------------------------------------------------------------------------------- */

  function scales(data) {
    /* logarithmic on both sides of an origin, linear within a millisecond of it */
    const around = (origin) => ({
      origin: origin,
      to: (t) => { const d = (t - origin) / MS; return Math.sign(d) * Math.log10(1 + Math.abs(d)); },
      from: (v) => origin + Math.sign(v) * (Math.pow(10, Math.abs(v)) - 1) * MS,
    });
    const table = { linear: { origin: 0, to: (t) => t / 1e9, from: (v) => v * 1e9 }, log: around(data.origin) };
    const wait = data.waits[0];
    if (wait && wait.end !== null) { table.end = around(wait.end); }
    return table;
  }

  function niceStep(range, count) {
    const raw = range / Math.max(1, count);
    const power = Math.pow(10, Math.floor(Math.log10(raw)));
    return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= raw) || power * 10;
  }

  function ticks(chart, count) {
    const scale = chart.scale(), from = scale.from(chart.view[0]), to = scale.from(chart.view[1]);
    const found = [], origin = scale.origin;
    if (chart.mode !== "linear") {
      const add = (d) => { const t = origin + d; if (t >= from && t <= to) { found.push(t); } };
      for (let power = 12; power >= 0; power--) { add(-MS * Math.pow(10, power)); }
      add(0);
      for (let power = 0; power <= 12; power++) { add(MS * Math.pow(10, power)); }
      if (found.length >= 3) { return { found: thin(chart, found), origin: origin }; }
      found.length = 0;
    }
    const step = niceStep(to - from, count);
    for (let n = Math.ceil((from - origin) / step); origin + n * step <= to && found.length < 60; n++) { found.push(origin + n * step); }
    return { found: thin(chart, found), origin: origin };
  }

  function thin(chart, times) {
    let last = -Infinity;
    return times.filter((t) => { const x = chart.x(t); if (x - last < 62) { return false; } last = x; return true; });
  }

  function tickLabel(t, chart, origin) {
    return (chart.mode !== "linear" && t > origin ? "+" : "") + span(Math.round(t - origin));
  }

  /* -- what is drawn ------------------------------------------------------------------------------------------ */

  function expand(wait) {
    const attempts = [];
    let n = 0;
    for (const [at, nap, errno, count] of wait.runs) {
      for (let i = 0; i < count; i++) { n += 1; attempts.push({ at: at + i * nap, nap: nap, errno: errno, n: n }); }
    }
    return attempts;
  }

  function lanesOf(data) {
    const rows = {};
    for (const [lane, row] of data.spans) { rows[lane] = Math.max(rows[lane] || 1, row + 1); }
    for (const [lane] of data.marks) { rows[lane] = rows[lane] || 1; }
    if (data.waits.length) { rows.wait = 1; }
    const spans = new Set(data.spans.map((item) => item[0])), marks = new Set(data.marks.map((item) => item[0]));
    return LANES.filter(([lane]) => rows[lane]).map(([lane, title]) => ({
      lane: lane, title: title, rows: rows[lane], spans: spans.has(lane), marks: marks.has(lane),
      height: lane === "wait" ? 64 : lane === "event" ? 40 : (spans.has(lane) ? rows[lane] * 20 : 0) + (marks.has(lane) ? 20 : 0) + 4,
    }));
  }

  class Chart {
    constructor(box) {
      this.box = box;
      this.data = JSON.parse(document.getElementById(box.dataset.key).textContent);
      this.waits = this.data.waits.map((wait) => Object.assign({ attempts: expand(wait) }, wait));
      this.lanes = lanesOf(this.data);
      this.scaleTable = scales(this.data);
      this.mode = this.data.log ? "log" : "linear";
      this.cursor = -1;
      this.build();
      this.fit();
    }

    scale() { return this.scaleTable[this.mode]; }
    x(t) { return this.left + (this.scale().to(t) - this.view[0]) / (this.view[1] - this.view[0]) * (this.width - this.left - 14); }
    edge() { return this.left + (this.full[1] - this.view[0]) / (this.view[1] - this.view[0]) * (this.width - this.left - 14); }
    time(x) { return this.scale().from(this.view[0] + (x - this.left) / (this.width - this.left - 14) * (this.view[1] - this.view[0])); }

    build() {
      const panel = html("div", { class: "panel" }, this.box);
      const pair = html("span", { class: "pair", role: "group", "aria-label": "Time axis" }, panel);
      this.buttons = {};
      for (const [mode, label, title] of MODES) {
        if (!this.scaleTable[mode]) { continue; }
        this.buttons[mode] = html("button", { type: "button", "data-mode": mode, title: title }, pair, label);
        this.buttons[mode].addEventListener("click", () => this.setMode(mode));
      }
      html("span", { class: "gap" }, panel);
      for (const [label, title, act] of [["−", "Zoom out", () => this.zoom(2)], ["+", "Zoom in", () => this.zoom(0.5)], ["Fit", "Show all of it", () => this.fit()]]) {
        html("button", { type: "button", title: title, "aria-label": title, "data-act": title }, panel, label).addEventListener("click", act);
      }
      const name = this.box.dataset.name;
      this.chart = svg("svg", { class: "chart", role: "application", tabindex: "0", "aria-label": "Timeline of " + name + ". Arrow keys go from item to item, plus and minus zoom, l changes the axis. The table of records below says the same." }, this.box);
      this.strip = svg("svg", { class: "strip", "aria-hidden": "true" }, this.box);
      this.tip = html("div", { class: "tip", role: "status", "aria-live": "polite" }, this.box);
      this.tip.hidden = true;
      this.listen();
      this.table();
    }

    table() {
      const rows = this.data.rows, more = this.data.more;
      const fold = html("details", { class: "records" }, this.box);
      html("summary", {}, fold, "Records" + (more ? " (the first " + rows.length + " lines)" : ""));
      fold.addEventListener("toggle", () => {
        if (!fold.open || fold.querySelector("table")) { return; }
        const scroll = html("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Records of " + this.box.dataset.name }, fold);
        const table = html("table", {}, scroll);
        const head = html("tr", {}, html("thead", {}, table));
        for (const title of ["Time", "Kind", "What"]) { html("th", title === "Time" ? { scope: "col", class: "num" } : { scope: "col" }, head, title); }
        const body = html("tbody", {}, table);
        for (const [at, kind, text] of rows) {
          const row = html("tr", {}, body);
          html("td", { class: "num" }, row, span(at));
          html("td", { class: "kind" }, row, kind);
          html("td", {}, row, text);
          row.addEventListener("click", () => this.center(at));
        }
        if (more) { html("p", { class: "dim" }, fold, trim(more, 0) + " more in journal.jsonl"); }
      });
    }

    /* -- the view ---------------------------------------------------------------------------------------------- */

    extent(mode) {
      const data = this.data, to = this.scaleTable[mode].to;
      let begin = data.begin, end = data.end;
      for (const wait of this.waits) {
        if (wait.limit === null) { continue; }
        const limit = wait.begin + wait.limit;
        if (mode !== "linear" || limit - begin <= 5 * (end - begin)) { end = Math.max(end, limit); }
      }
      const low = to(begin), high = to(end), pad = (high - low || 1e-6) * 0.02;
      /* what has not ended goes on to the right edge, where it can be seen */
      return [low - pad, high + pad * (data.spans.some((item) => item[3] === null) ? 6 : 1)];
    }

    fit() { this.full = this.extent(this.mode); this.view = this.full.slice(); this.draw(); }

    setMode(mode) {
      if (mode === this.mode) { return; }
      const whole = this.view[0] === this.full[0] && this.view[1] === this.full[1];
      const times = this.view.map((value) => this.scale().from(value));
      this.mode = mode;
      this.full = this.extent(mode);
      this.view = whole ? this.full.slice() : times.map((t) => this.scale().to(t));
      this.setView(this.view[0], this.view[1]);
    }

    setView(low, high) {
      const whole = this.full[1] - this.full[0];
      const part = Math.min(whole, Math.max(high - low, this.mode === "linear" ? 1e-6 : 1e-7));
      const start = Math.min(Math.max(low, this.full[0]), this.full[1] - part);
      this.view = [start, start + part];
      this.draw();
    }

    zoom(factor, x) {
      const part = x === undefined ? 0.5 : Math.min(1, Math.max(0, (x - this.left) / (this.width - this.left - 14)));
      const range = this.view[1] - this.view[0], pin = this.view[0] + part * range;
      this.setView(pin - part * range * factor, pin + (1 - part) * range * factor);
    }

    pan(pixels) {
      const step = pixels / (this.width - this.left - 14) * (this.view[1] - this.view[0]);
      this.setView(this.view[0] + step, this.view[1] + step);
    }

    center(t) {
      const value = this.scale().to(t), half = (this.view[1] - this.view[0]) / 2;
      if (value < this.view[0] || value > this.view[1]) { this.setView(value - half, value + half); }
      const at = this.hits.findIndex((hit) => hit.t === t);
      if (at >= 0) { this.point(at); }
      this.chart.scrollIntoView({ block: "nearest" });
    }

    /* -- drawing ------------------------------------------------------------------------------------------------ */

    draw() {
      this.width = Math.max(240, this.box.clientWidth);
      const narrow = this.width < 620;
      this.left = narrow ? 10 : 104;
      const head = narrow ? 15 : 0;
      this.chart.replaceChildren();
      this.hits = [];
      this.cursor = -1;
      this.tip.hidden = true;
      let y = 4;
      for (const lane of this.lanes) {
        svg("rect", { class: "lane", x: this.left - 4, y: y + head, width: this.width - this.left - 6, height: lane.height, rx: 4 }, this.chart);
        svg("text", { class: "lane-title", x: narrow ? this.left - 2 : 0, y: y + (narrow ? 11 : Math.min(18, lane.height / 2 + 4)) }, this.chart, lane.title);
        lane.y = y + head;
        y += lane.height + head + 5;
      }
      this.bottom = y;
      this.axis(y, narrow);
      const inside = svg("svg", { x: this.left - 4, y: 0, width: this.width - this.left - 6, height: y, overflow: "hidden" }, this.chart);
      const layer = svg("g", { transform: "translate(" + (4 - this.left) + ",0)" }, inside);
      for (const lane of this.lanes) {
        this.drawSpans(lane, layer);
        if (lane.lane === "wait") { this.waits.forEach((wait) => this.drawWait(wait, lane, layer)); }
        this.drawMarks(lane, layer);
      }
      this.hits.sort((a, b) => a.t - b.t || a.y - b.y);
      this.pointer = svg("path", { class: "cursor" }, this.chart);
      this.chart.setAttribute("height", y + 22);
      this.chart.setAttribute("viewBox", "0 0 " + this.width + " " + (y + 22));
      for (const mode in this.buttons) { this.buttons[mode].setAttribute("aria-pressed", String(mode === this.mode)); }
      this.drawStrip();
      this.box.dataset.view = [this.time(this.left), this.time(this.width - 14)].map(Math.round).join(" ");
    }

    axis(y, narrow) {
      const group = svg("g", { class: "axis" }, this.chart);
      const { found, origin } = ticks(this, (this.width - this.left) / 95);
      for (const t of found) {
        const x = this.x(t);
        svg("path", { d: "M" + x + " 4V" + (y + 3) }, group);
        svg("text", { x: Math.min(x, this.width - 26), y: y + 15, "text-anchor": x < this.left + 20 ? "start" : "middle" }, group, tickLabel(t, this, origin));
      }
      if (!narrow) { svg("text", { x: 0, y: y + 15 }, group, { log: "since the wait", end: "around its end", linear: "run’s clock" }[this.mode]); }
    }

    reserve(line, from, to) { (this.lines[line] = this.lines[line] || []).push([from, to]); }

    write(layer, line, x, y, text, anchor) {
      /* a label stands only where it touches no shape and no other label of its line; false if it found no room */
      const from = anchor === "end" ? x - wide(text) : x, to = from + wide(text);
      if (from < this.left - 2 || to > this.width - 8) { return false; }
      if ((this.lines[line] || []).some(([low, high]) => from < high && to > low)) { return false; }
      svg("text", { x: x, y: y, "text-anchor": anchor }, layer, text);
      this.reserve(line, from, to);
      return true;
    }

    drawSpans(lane, layer) {
      const groups = new Map();
      this.lines = {};
      for (const [name, row, begin, end, label, tone, detail] of this.data.spans) {
        if (name !== lane.lane) { continue; }
        const x0 = this.x(begin), x1 = end === null ? this.edge() : this.x(end);
        if (x1 < this.left - 6 || x0 > this.width) { continue; }
        const line = { title: label, text: (end === null ? "not ended" : span(end - begin)) + (detail ? " · " + detail : "") };
        const bucket = x1 - x0 < 4 ? row + ":" + Math.round(x0 / 5) : row + ":" + begin + ":" + label;
        const same = groups.get(bucket);
        if (same) { same.lines.push(line); same.x1 = Math.max(same.x1, x1); if (tone === "bad") { same.tone = tone; } continue; }
        groups.set(bucket, { x0: x0, x1: x1, row: row, label: label, tone: tone, t: begin, open: end === null, lines: [line] });
      }
      for (const item of groups.values()) {
        item.y = lane.y + 3 + item.row * 20;
        item.low = Math.max(item.x0, this.left - 8);
        item.high = Math.max(Math.min(item.x1, this.width), item.low + 3.5);
        this.reserve(item.row, item.low, item.high);
        const box = svg("rect", { x: item.low, y: item.y, width: item.high - item.low, height: 16, rx: 3, class: "box t-" + item.tone, "fill-opacity": item.open ? 0.82 : 1 }, layer);
        box.dataset.label = item.label;
        this.hit(item.t, item.low, item.y, item.high - item.low, 16, item.lines);
      }
      for (const item of groups.values()) { this.nameSpan(item, layer); }
    }

    nameSpan(item, layer) {
      const text = item.lines.length > 1 ? item.label + " +" + (item.lines.length - 1) : item.label, y = item.y + 12;
      const words = [text, item.label, item.label.split(" (")[0]];
      const right = Math.min(item.high, this.width - 14), start = Math.max(item.low, this.left - 2) + 5;
      const inside = words.find((word) => bold(word) <= right - start);
      if (inside !== undefined) { svg("text", { x: start, y: y, class: "onfill" }, layer, inside); return; }
      words.some((word) => this.write(layer, item.row, item.high + 4, y, word, "start") || this.write(layer, item.row, item.low - 5, y, word, "end"));
    }

    drawMarks(lane, layer) {
      const groups = new Map();
      for (const [name, at, label, tone, shape, detail] of this.data.marks) {
        if (name !== lane.lane) { continue; }
        const x = this.x(at);
        if (x < this.left - 8 || x > this.width) { continue; }
        const bucket = Math.round(x / 5), same = groups.get(bucket), line = { title: label, text: detail === label ? "" : detail };
        if (same) {
          same.lines.push(line);
          same.names.push(label);
          if (tone === "bad") { same.tone = tone; same.shape = shape; }
        } else { groups.set(bucket, { x: x, t: at, tone: tone, shape: shape, lines: [line], names: [label] }); }
      }
      const y = lane.y + (lane.lane === "wait" ? 25 : lane.lane === "event" ? 12 : lane.height - 12);
      this.lines = {};
      for (const item of groups.values()) {
        const mark = svg("path", { d: PATHS[item.shape] || PATHS.dot, transform: "translate(" + item.x + "," + y + ")", class: "t-" + item.tone }, layer);
        mark.dataset.label = item.names[0];
        this.reserve("first", item.x - 7, item.x + 7);
        this.hit(item.t, item.x - 6, y - 7, 12, 14, item.lines);
      }
      for (const item of groups.values()) {
        const text = item.names.length > 2 ? item.names[0] + " +" + (item.names.length - 1) : item.names.join(", ");
        this.write(layer, "first", item.x + 10, y + 4, text, "start")
          || (lane.lane === "event" && this.write(layer, "second", item.x + 2, y + 20, text, "start"))
          || this.write(layer, "first", item.x - 9, y + 4, text, "end");
      }
    }

    drawWait(wait, lane, layer) {
      const base = lane.y + 56, end = wait.end === null ? this.data.end : wait.end;
      const last = { x: -9, errno: null };
      svg("path", { d: "M" + this.x(wait.begin) + " " + base + "H" + this.x(end), class: "tick t-dim" }, layer);
      for (const attempt of wait.attempts) {
        const x = this.x(attempt.at), nap = this.x(attempt.at - attempt.nap);
        if (x < this.left - 8 || nap > this.width) { continue; }
        if (attempt.nap && x - nap > 3) {
          svg("rect", { class: "t-dim nap", x: nap + 1, y: base - 4, width: x - nap - 2, height: 4 }, layer);
          this.hit(attempt.at - attempt.nap, nap + 1, base - 4, x - nap - 3, 8, [{ title: "nap of " + span(attempt.nap), text: "before attempt " + attempt.n }]);
        }
        /* attempts less than a pixel apart are one stroke, but the one that ends the run is always drawn */
        if (x - last.x < 1 && attempt.errno === last.errno) { continue; }
        last.x = x; last.errno = attempt.errno;
        this.drawAttempt(attempt, x, base, layer, wait);
      }
      if (wait.limit !== null) { this.drawLimit(wait, lane, layer); }
    }

    drawAttempt(attempt, x, base, layer, wait) {
      const errno = attempt.errno, tone = !errno ? "ok" : errno === "ENOENT" ? "warn" : "bad";
      const top = base - (!errno ? 22 : errno === "ENOENT" ? 11 : 15);
      const tick = svg("path", { class: "tick t-" + tone, d: "M" + x + " " + top + "V" + base }, layer);
      tick.dataset.attempt = attempt.n;
      if (!errno) {
        svg("path", { d: PATHS.diamond, transform: "translate(" + x + "," + top + ")", class: "t-ok" }, layer);
      } else if (errno === "ECONNREFUSED") {
        svg("circle", { cx: x, cy: top - 2, r: 2.6, class: "ring t-bad" }, layer);
      } else if (errno !== "ENOENT") {
        svg("path", { d: PATHS.cross, transform: "translate(" + x + "," + top + ") scale(.7)", class: "t-bad" }, layer);
      }
      this.hit(attempt.at, x - 3, top - 6, 6, base - top + 6, [{
        title: "attempt " + attempt.n + (errno ? ": " + errno : ": connected"),
        text: "nap " + span(attempt.nap) + " before · " + span(attempt.at - wait.begin) + " after the wait began",
      }]);
    }

    drawLimit(wait, lane, layer) {
      const limit = wait.begin + wait.limit, x = this.x(limit), lines = [{ title: "limit " + span(wait.limit), text: wait.policy + " gives up here" }];
      const text = "limit " + span(wait.limit), y = lane.y + 12;
      if (x > this.width - 14) {
        svg("text", { x: this.width - 16, y: y, "text-anchor": "end", class: "limit-label" }, layer, text + " →");
        return;
      }
      if (x < this.left) { return; }
      svg("path", { class: "limit", d: "M" + x + " " + lane.y + "V" + (lane.y + lane.height) }, layer);
      const left = x > this.left + wide(text) + 12;
      svg("text", { x: left ? x - 5 : x + 5, y: y, "text-anchor": left ? "end" : "start", class: "limit-label" }, layer, text);
      this.hit(limit, x - 3, lane.y, 6, lane.height, lines);
    }

    hit(t, x, y, wide, high, lines) { this.hits.push({ t: t, x: x, y: y, w: wide, h: high, lines: lines }); }

    /* -- the strip below ------------------------------------------------------------------------------------------ */

    stripX(value) { return this.left + (value - this.full[0]) / (this.full[1] - this.full[0]) * (this.width - this.left - 14); }
    stripValue(x) { return this.full[0] + (x - this.left) / (this.width - this.left - 14) * (this.full[1] - this.full[0]); }

    drawStrip() {
      const strip = this.strip, to = this.scale().to;
      strip.replaceChildren();
      strip.setAttribute("height", 24);
      strip.setAttribute("viewBox", "0 0 " + this.width + " 24");
      svg("rect", { class: "lane", x: this.left - 4, y: 0, width: this.width - this.left - 6, height: 24, rx: 4 }, strip);
      for (const [lane, , begin, end, , tone] of this.data.spans) {
        if (lane !== "state") { continue; }
        const x0 = this.stripX(to(begin)), x1 = this.stripX(end === null ? this.full[1] : to(end));
        svg("rect", { x: x0, y: 16, width: Math.max(1, x1 - x0), height: 5, class: "t-" + tone }, strip);
      }
      let last = -9;
      for (const wait of this.waits) {
        for (const attempt of wait.attempts) {
          const x = this.stripX(to(attempt.at));
          if (x - last < 1.5) { continue; }
          last = x;
          svg("path", { class: "tick t-" + (!attempt.errno ? "ok" : attempt.errno === "ENOENT" ? "warn" : "bad"), d: "M" + x + " 3V13" }, strip);
        }
      }
      const x0 = this.stripX(this.view[0]), x1 = this.stripX(this.view[1]);
      svg("rect", { class: "window", x: x0, y: 0.5, width: Math.max(3, x1 - x0), height: 23, rx: 3 }, strip);
    }

    /* -- hands ------------------------------------------------------------------------------------------------------ */

    at(event, node) { const box = node.getBoundingClientRect(); return { x: event.clientX - box.left, y: event.clientY - box.top }; }

    point(index) {
      if (!this.hits.length) { return; }
      this.cursor = (index + this.hits.length) % this.hits.length;
      const hit = this.hits[this.cursor];
      this.show(hit, hit.x + hit.w / 2, hit.y + hit.h);
      this.pointer.setAttribute("d", "M" + (hit.x - 2) + " " + (hit.y - 2) + "h" + (hit.w + 4) + "v" + (hit.h + 4) + "h" + (-hit.w - 4) + "z");
    }

    show(hit, x, y) {
      const tip = this.tip;
      tip.replaceChildren();
      const since = this.data.origin === this.data.begin && this.data.begin === 0 ? "" : " · " + span(hit.t - this.data.origin) + " since " + (this.waits.length ? "the wait began" : "the first record");
      for (const line of hit.lines.slice(0, 9)) {
        html("b", {}, tip, line.title);
        if (line.text) { html("span", {}, tip, line.text.slice(0, 260)); }
      }
      if (hit.lines.length > 9) { html("b", {}, tip, "and " + (hit.lines.length - 9) + " more"); }
      html("span", {}, tip, "at " + span(hit.t) + since);
      tip.hidden = false;
      const box = this.box.getBoundingClientRect(), offset = this.chart.getBoundingClientRect().top - box.top;
      tip.style.left = Math.max(0, Math.min(x + 12, box.width - tip.offsetWidth - 2)) + "px";
      tip.style.top = (offset + y + 12) + "px";
    }

    hover(x, y) {
      let best = null, distance = 9;
      for (const hit of this.hits) {
        const dx = Math.max(hit.x - x, 0, x - hit.x - hit.w), dy = Math.max(hit.y - y, 0, y - hit.y - hit.h);
        const far = dx + dy + Math.min(hit.w, 200) / 400;
        if (dx < 6 && dy < 3 && far < distance) { distance = far; best = hit; }
      }
      if (best) { this.show(best, x, y); } else { this.tip.hidden = true; }
    }

    listen() {
      const chart = this.chart, fingers = new Map();
      let from = null, apart = 0;
      chart.addEventListener("wheel", (event) => {
        if (event.ctrlKey || event.metaKey) {
          event.preventDefault();
          this.zoom(Math.pow(1.0025, event.deltaY), this.at(event, chart).x);
        } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) { event.preventDefault(); this.pan(event.deltaX); }
      }, { passive: false });
      chart.addEventListener("dblclick", (event) => this.zoom(event.shiftKey ? 3 : 1 / 3, this.at(event, chart).x));
      chart.addEventListener("pointerdown", (event) => {
        fingers.set(event.pointerId, event.clientX);
        from = { x: event.clientX, view: this.view.slice() };
        const two = Array.from(fingers.values());
        apart = two.length === 2 ? Math.abs(two[0] - two[1]) : 0;
      });
      chart.addEventListener("pointermove", (event) => {
        const here = this.at(event, chart);
        if (!fingers.has(event.pointerId)) { this.hover(here.x, here.y); return; }
        fingers.set(event.pointerId, event.clientX);
        const two = Array.from(fingers.values());
        if (two.length === 2) {
          const now = Math.max(8, Math.abs(two[0] - two[1]));
          if (apart) { this.zoom(apart / now, (two[0] + two[1]) / 2 - chart.getBoundingClientRect().left); }
          apart = now;
        } else if (from && Math.abs(event.clientX - from.x) > 4) {
          chart.setPointerCapture(event.pointerId);
          chart.classList.add("dragging");
          const step = (from.x - event.clientX) / (this.width - this.left - 14) * (from.view[1] - from.view[0]);
          this.setView(from.view[0] + step, from.view[1] + step);
        }
      });
      const drop = (event) => { fingers.delete(event.pointerId); from = null; chart.classList.remove("dragging"); };
      chart.addEventListener("pointerup", (event) => {
        const still = from && Math.abs(event.clientX - from.x) <= 4, here = this.at(event, chart);
        drop(event);
        if (still) { this.hover(here.x, here.y); }
      });
      chart.addEventListener("pointercancel", drop);
      chart.addEventListener("pointerleave", () => { if (!fingers.size) { this.tip.hidden = true; } });
      chart.addEventListener("blur", () => { this.tip.hidden = true; });
      chart.addEventListener("keydown", (event) => this.key(event));
      this.listenStrip();
    }

    listenStrip() {
      const strip = this.strip;
      let grab = null;
      strip.addEventListener("pointerdown", (event) => {
        const value = this.stripValue(this.at(event, strip).x), whole = this.view[1] - this.view[0] > 0.98 * (this.full[1] - this.full[0]);
        const inside = !whole && value >= this.view[0] && value <= this.view[1];
        grab = { from: value, low: this.view[0], wide: this.view[1] - this.view[0], move: inside };
        strip.setPointerCapture(event.pointerId);
      });
      strip.addEventListener("pointermove", (event) => {
        if (!grab) { return; }
        const value = this.stripValue(this.at(event, strip).x);
        if (grab.move) {
          const low = grab.low + value - grab.from;
          this.setView(low, low + grab.wide);
        } else if (Math.abs(this.stripX(value) - this.stripX(grab.from)) > 3) {
          this.setView(Math.min(value, grab.from), Math.max(value, grab.from));
        }
      });
      const drop = () => { grab = null; };
      strip.addEventListener("pointerup", drop);
      strip.addEventListener("pointercancel", drop);
      strip.addEventListener("dblclick", () => this.fit());
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) { return; }
      const page = (this.width - this.left) / 5;
      const act = {
        "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), "0": () => this.fit(),
        "l": () => { const modes = Object.keys(this.buttons); this.setMode(modes[(modes.indexOf(this.mode) + 1) % modes.length]); },
        "ArrowRight": () => (event.shiftKey ? this.pan(page) : this.point(this.cursor + 1)),
        "ArrowLeft": () => (event.shiftKey ? this.pan(-page) : this.point(this.cursor < 0 ? -1 : this.cursor - 1)),
      }[event.key];
      if (act) { event.preventDefault(); act(); }
    }
  }

  const charts = new WeakMap();
  window.virtsimTimeline = function (box) {
    const chart = charts.get(box);
    if (chart) { chart.draw(); } else { charts.set(box, new Chart(box)); }
  };
})();
