"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figure-data").textContent);
  const NARROW = 560;
  const options = {
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  };

  // On a telephone: fewer ticks, none of them turned, less around the panels.
  function squeeze(layout) {
    layout.margin = { ...layout.margin, l: 60, r: 50 };
    for (const [name, axis] of Object.entries(layout)) {
      if (!name.startsWith("xaxis")) continue;
      Object.assign(axis, { tickangle: 0, nticks: 4, title: { ...axis.title, font: { size: 11 } } });
      if (axis.tickvals?.length > 5) {
        const kept = (_, k) => k % 2 === 0;
        Object.assign(axis, { tickvals: axis.tickvals.filter(kept), ticktext: axis.ticktext.filter(kept) });
      }
    }
  }

  function draw(place) {
    const { data, layout } = figures[Number(place.dataset.figure)];
    if (place.clientWidth < NARROW) squeeze(layout);
    Plotly.newPlot(place, data, layout, options);
  }

  // Figures are drawn when they come near the screen, so that a long page opens at once.
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      draw(target);
    }
  }, { rootMargin: "400px" });

  const places = Array.from(document.querySelectorAll(".plot"));
  for (const place of places) {
    place.style.minHeight = `${figures[Number(place.dataset.figure)].layout.height}px`;
    near.observe(place);
  }
  addEventListener("beforeprint", () => {
    for (const place of places.filter((each) => !each.data)) {
      near.unobserve(place);
      draw(place);
    }
  });
})();
