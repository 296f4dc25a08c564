/** A test that never failed shows nothing: each fault of the lists beside this file must be caught by the test that it names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readMutants, runMutants, whyNotApplicable } from '../../scripts/lib/mutants.ts'

const mutants = await readMutants()

test('every pattern stands exactly once in the code, and its killer exists', async () => {
  const reasons = await Promise.all(mutants.map(async (mutant) => [mutant.name, await whyNotApplicable(mutant)]))
  assert.deepEqual(
    reasons.filter(([, reason]) => reason !== undefined),
    []
  )
})

test('at least 12 faults are planted', () => assert.ok(mutants.length >= 12, `${mutants.length} mutants`))

/** The same faults in every run, so that one which nobody touched turns nothing red; SEED chooses others. */
const seed = Number(process.env['SEED'] ?? 1)
/** The suite's share; `npm run mutants` plants all of them. */
const share = 40

/** Every n-th fault from one on that the seed chooses: some of each list. */
const chosen = mutants.filter((_, index) => (index * share + seed) % mutants.length < share)

test('the planted faults of this run are caught by their killers', async (t) => {
  t.diagnostic(`SEED=${seed}: ${chosen.length} of ${mutants.length} faults; npm run mutants plants all`)
  assert.ok(chosen.length >= 12)
  const outcomes = await runMutants({ mutants: chosen, atOnce: 2 })
  assert.deepEqual(
    outcomes.filter(({ verdict }) => verdict !== 'caught').map(({ mutant, verdict, detail }) => `${mutant.name}: ${verdict} (${detail})`),
    [],
    `SEED=${seed}`
  )
})
