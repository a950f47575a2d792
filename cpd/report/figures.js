"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figure-data").textContent);
  const options = {
    responsive: true,
    displaylogo: false,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
  };

  function draw(place) {
    const figure = figures[Number(place.dataset.figure)];
    Plotly.newPlot(place, figure.data, figure.layout, options);
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
