import assert from 'node:assert/strict'
import { test } from 'node:test'
import { accumulate, accumulatedDigests } from './accumulated.ts'

// Levels 1 and 5 take as long each: `npm run bench vectors` runs all three.
test('10,000 rounds of ML-KEM-768 by noble accumulate to the published digest', async () => {
  assert.equal(await accumulate(3), accumulatedDigests[3])
})
