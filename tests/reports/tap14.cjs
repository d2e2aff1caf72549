// Reads TAP from standard input with npm's tap-parser; says as JSON what it understood:
// its results, all points and subtests, and what it took for no TAP.
const { Parser } = require('tap-parser');

function follow(parser, to) {
  parser.on('assert', ({ ok, id, name, todo, skip, time, diag }) =>
    to.points.push({ ok, id, name, todo, skip, time, diag: diag ?? null }));
  parser.on('comment', comment => to.comments.push(comment));
  parser.on('extra', text => to.extra.push(text));
  parser.on('child', child => {
    const subtest = { name: child.name, points: [], comments: [], extra: [], children: [] };
    to.children.push(subtest);
    follow(child, subtest);
  });
  parser.on('complete', ({ ok, count, pass, fail, todo, skip, bailout, failures, plan }) =>
    to.results = { ok, count, pass, fail, todo, skip, bailout, plan: plan.end,
      errors: failures.map(it => it.tapError).filter(it => it) });
}

const report = { points: [], comments: [], extra: [], children: [] };
const parser = new Parser({ strict: true });
follow(parser, report);
parser.on('complete', () => console.log(JSON.stringify(report)));
process.stdin.pipe(parser);
