// Draws the charts in the place of their pictures; a point's tooltip shows the design. Turns the surfaces of volumes.
(() => {
  const page = JSON.parse(document.getElementById("charts").textContent);
  const text = (value) => String(value).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
  const row = ([name, value]) => `<tr><td>${text(name)}</td><td>${text(value)}</td></tr>`;
  const rounded = (value) => (typeof value === "number" ? Number(value.toPrecision(4)) : value);
  const formatTooltip = (value) => {
    const design = value.evaluation ? page.designs[value.evaluation - 1] : null;
    if (!design && value.kind) return text(value.kind);
    if (!design) return `<table>${Object.entries(value).map(([n, v]) => row([n, rounded(v)])).join("")}</table>`;
    const image = design.image ? `<img src="${design.image}" alt="">` : "";
    return `<b>${text(design.title)}</b><table>${design.lines.map(row).join("")}</table>${image}`;
  };
  for (const [id, spec] of Object.entries(page.specs)) {
    vegaEmbed(document.getElementById(id), spec, { renderer: "svg", actions: false, tooltip: { formatTooltip } });
  }
  // A surface is drawn when it is asked for: a browser draws few at a time.
  for (const box of document.querySelectorAll("details.turned")) {
    box.addEventListener("toggle", () => {
      const place = box.querySelector(".surface");
      if (!box.open) return Plotly.purge(place);
      const { data, layout } = page.surfaces[place.dataset.surface];
      return Plotly.newPlot(place, data, layout, { responsive: true, displaylogo: false });
    });
  }
})();
