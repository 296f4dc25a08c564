import assert from 'node:assert/strict'
import { test } from 'node:test'
import { operations } from '../../src/api/index.ts'
import { checkInput } from '../../src/api/field-check.ts'
import { isMeshError } from '../../src/core/base/index.ts'

test('JSON of any depth in place of a field is an invalid option, and what is shown of it is short', () => {
  const deep: unknown = JSON.parse(`${'['.repeat(600_000)}${']'.repeat(600_000)}`)
  const tables: unknown = JSON.parse(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`)
  for (const destination of [deep, tables, [deep, tables], ['x'.repeat(1_000_000), null, 1]]) {
    const isShort = (error: unknown): boolean => isMeshError(error, 'OPTION_INVALID') && String(error.details['value']).length <= 80
    assert.throws(() => checkInput(operations.message.fields, { destination, content: 'x' }), isShort)
    assert.throws(() => checkInput(operations.listen.fields, { type: [destination] }), isShort)
  }
})
