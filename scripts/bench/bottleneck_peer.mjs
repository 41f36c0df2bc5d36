// Runs jobs that return at once through Bottleneck with maxConcurrent 3; prints one line of JSON.
// Arguments: the folder that it is installed in, its build, the way in, how many jobs are submitted
// at a time (0: all up front), how many jobs.
import { createRequire } from "node:module";

const [folder, build, way, ...numbers] = process.argv.slice(2);
const [atOnce, jobs] = numbers.map(Number);
const require = createRequire(`${folder}/`);
const Bottleneck = require(build === "light" ? "bottleneck/light.js" : "bottleneck");

async function run(jobs) {
  const limiter = new Bottleneck({ maxConcurrent: 3 });
  const job = async (number) => number;
  const wrapped = limiter.wrap(job);
  const submit =
    way === "wrap" ? wrapped : (number) => limiter.schedule(async () => number);
  let next = 0;
  let sum = 0;
  async function submitter() {
    while (next < jobs) {
      const value = await submit(next++);
      sum += value;
    }
  }
  const submitters = atOnce || jobs;
  const began = process.hrtime.bigint();
  await Promise.all(Array.from({ length: submitters }, submitter));
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  return { seconds, sum };
}

await run(Math.min(jobs, 100));
const { seconds, sum } = await run(jobs);
const { version } = require("bottleneck/package.json");
console.log(JSON.stringify({ seconds, sum, version, node: process.version }));
