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

test('every planted fault is caught by its killer', async () => {
  const outcomes = await runMutants({ mutants, atOnce: 2 })
  assert.deepEqual(
    outcomes.filter(({ verdict }) => verdict !== 'caught').map(({ mutant, verdict, detail }) => `${mutant.name}: ${verdict} (${detail})`),
    []
  )
})
