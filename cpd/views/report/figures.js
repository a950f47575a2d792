"use strict";
(() => {
  const { pool, figures } = JSON.parse(document.getElementById("figure-data").textContent);
  const PAPER = 330; // pixels of half a page's width, which a panel has on paper; one alone has all of it
  const coarse = matchMedia("(pointer: coarse)");
  const options = { displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
  const places = Array.from(document.querySelectorAll(".plot"));
  let printing = false;

  // What several panels have alike is written once.
  function whole(value) {
    if (Array.isArray(value)) return typeof value[0] === "object" ? value.map(whole) : value;
    if (value === null || typeof value !== "object") return value;
    if ("$" in value) return pool[value.$];
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, whole(inner)]));
  }

  // The page's colours stand in its style sheet: a text such as --ink is the name of one.
  function dressed(value, colours) {
    if (typeof value === "string") return value.startsWith("--") ? colours.getPropertyValue(value).trim() : value;
    if (Array.isArray(value)) return typeof value[0] === "object" ? value.map((inner) => dressed(inner, colours)) : value;
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, dressed(inner, colours)]));
  }

  const digits = (value) => String(Number(value.toPrecision(6)));
  const amount = (value, share) => (share ? `${digits(100 * value)} %` : digits(value));
  const said = ({ name, share }, value) => `${name} ${amount(value, share)}`;

  function texts(trace, panel, line) {
    const { x, y: heights } = trace.said ?? trace; // what blew up stands at the edge, and says what it is
    return heights.map((y, k) => {
      if (y === null || y === undefined) return "";
      const spread = trace.error_y ? ` ± ${amount(trace.error_y.array[k], panel.y.share)}` : "";
      const lead = trace.lead ? trace.lead[k] : line.name;
      return [lead, ...(panel.x ? [said(panel.x, x[k])] : []), said(panel.y, y) + spread].join("<br>");
    });
  }

  function traceOf(figure, panel, trace, colours) {
    const line = { ...figure.series[trace.series] };
    const color = dressed(trace.color ?? line.color, colours);
    const { series, lead, said: _, ...rest } = trace;
    const hover = lead === undefined ? { hoverinfo: "skip" } : { hoverinfo: "text", text: texts(trace, panel, line) };
    return {
      ...rest,
      ...hover,
      visible: !figure.hidden?.has(series),
      line: { width: 1.5, dash: line.dash, ...rest.line, color },
      marker: { opacity: 1, ...rest.marker, color, line: { width: 1.5, color } },
      ...(rest.error_y && { error_y: { type: "data", thickness: 1, width: 2, ...rest.error_y, color } }),
    };
  }

  // As many labels of an axis as its width holds.
  function thinned(axis, width) {
    if (!axis.tickvals) return { ...axis, nticks: Math.max(2, Math.floor(width / 70)) };
    const longest = Math.max(...axis.ticktext.map((text) => text.length));
    const every = Math.ceil((axis.tickvals.length * (7 * longest + 12)) / width);
    const zero = axis.ticktext[0] === "0" && every > 1 ? 1 : 0; // which stays, and its neighbour does not touch it
    const keep = (_, k) => (k - zero) % every === 0 || (zero && k === 0);
    return { ...axis, tickvals: axis.tickvals.filter(keep), ticktext: axis.ticktext.filter(keep) };
  }

  function layoutOf(panel, colours, width) {
    const layout = dressed(panel.layout, colours);
    const own = {
      width,
      height: panel.height,
      showlegend: false,
      hovermode: "closest",
      dragmode: coarse.matches ? false : "zoom", // a finger scrolls the page
      uirevision: 1,
      font: { family: "system-ui, sans-serif", size: 12, color: dressed("--ink", colours) },
      hoverlabel: { bgcolor: dressed("--shade", colours), bordercolor: dressed("--control", colours), font: { color: dressed("--ink", colours) }, align: "left" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: dressed("--faint", colours), activecolor: dressed("--accent", colours) },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
    };
    const room = width - layout.margin.l - layout.margin.r;
    return { ...own, ...layout, xaxis: thinned(layout.xaxis, room) };
  }

  function draw(place) {
    const figure = figures[Number(place.dataset.figure)];
    const panel = whole(figure.panels[Number(place.dataset.panel)]);
    const colours = getComputedStyle(document.documentElement);
    const alone = figure.panels.length === 1;
    const width = printing ? (alone ? 2 * PAPER : PAPER) : place.clientWidth;
    place.drawn = width;
    Plotly.react(place, panel.data.map((trace) => traceOf(figure, panel, trace, colours)), layoutOf(panel, colours, width), options);
    // Of use with a pointer alone: the tab key would stop at each of them in every panel.
    for (const button of place.querySelectorAll(".modebar-btn")) button.tabIndex = -1;
  }

  const drawn = () => places.filter((place) => place.drawn);
  const again = (chosen = drawn()) => { for (const place of chosen) draw(place); };

  // Panels are drawn when they come near the screen, so that a long page opens at once.
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      draw(target);
    }
  }, { rootMargin: "400px" });

  // And again when they become wider or narrower.
  const resized = new ResizeObserver((entries) => {
    if (printing) return;
    requestAnimationFrame(() => again(entries.map(({ target }) => target).filter((place) => place.drawn && place.clientWidth && place.drawn !== place.clientWidth)));
  });

  for (const place of places) {
    near.observe(place);
    resized.observe(place);
  }

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const at = Number(button.dataset.figure);
      const hidden = (figures[at].hidden ??= new Set());
      const series = Number(button.dataset.series);
      hidden.delete(series) || hidden.add(series);
      button.setAttribute("aria-pressed", String(!hidden.has(series)));
      again(drawn().filter((place) => Number(place.dataset.figure) === at));
    });
  }

  document.addEventListener("themechange", () => again());
  addEventListener("beforeprint", () => {
    printing = true;
    again(places);
  });
  addEventListener("afterprint", () => {
    printing = false;
    again();
  });
})();
