// Reads flowcharts with mermaid, an array of them as JSON from standard input; says as JSON what it
// understood of each: the texts of its nodes, its edges, and the nodes of its subgraphs.
const { readFileSync } = require('fs');
const { dirname, join } = require('path');
const { pathToFileURL } = require('url');
const { JSDOM } = require('jsdom');

globalThis.window = new JSDOM('').window;
globalThis.document = window.document;

// The entities of mermaid, as it keeps them until it draws.
function shown(text) {
  const html = text.replace(/ﬂ°°/g, '&#').replace(/ﬂ°/g, '&').replace(/¶ß/g, ';');
  const element = document.createElement('p');
  element.innerHTML = html;
  return [...element.childNodes].map(node => node.nodeName === 'BR' ? '\n' : node.textContent).join('');
}

(async () => {
  const folder = join(process.env.NODE_PATH, 'mermaid');
  const { default: mermaid } = await import(pathToFileURL(join(folder, 'dist/mermaid.core.mjs')));
  const read = [];
  for (const chart of JSON.parse(readFileSync(0, 'utf8'))) {
    // This also makes the kinds of diagrams known.
    await mermaid.parse(chart);
    const { db } = await mermaid.mermaidAPI.getDiagramFromText(chart);
    const nodes = [...db.getVertices().values()].map(({ id, text }) => [id, shown(text)]);
    const edges = db.getEdges().map(({ start, end, text }) => [start, end, shown(text)]);
    const stages = db.getSubGraphs().map(({ title, nodes }) => [title, nodes]);
    read.push({ nodes: Object.fromEntries(nodes), edges, stages: Object.fromEntries(stages) });
  }
  console.log(JSON.stringify(read));
})();
