/** Plants the faults of test/mutants one at a time, each in a copy of the tree, and runs the test that must catch it: `npm run mutants [-- WORD]`. */
import { readMutants, runMutants } from './lib/mutants.ts'

const [word = ''] = process.argv.slice(2)
const mutants = (await readMutants()).filter((mutant) => mutant.name.includes(word) || mutant.file.includes(word))
const outcomes = await runMutants({
  mutants,
  atOnce: 2,
  onOutcome: ({ mutant, verdict, durationMs, detail }) => {
    const mark = verdict === 'caught' ? '✓' : '✗'
    process.stdout.write(`${mark} ${verdict.padEnd(8)} ${mutant.name.padEnd(48)} ${(durationMs / 1000).toFixed(1).padStart(5)} s  ${detail}\n`)
  }
})
const caught = outcomes.filter((outcome) => outcome.verdict === 'caught').length
process.stdout.write(`\n${outcomes.length} mutants, ${caught} caught, ${outcomes.length - caught} not caught\n`)
if (outcomes.length === 0 || caught < outcomes.length) process.exitCode = 1
