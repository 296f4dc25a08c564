import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue, type Command } from '../../src/api/index.ts'
import { contextDocument } from '../../src/api/context-document.ts'
import { topics } from '../../src/api/topics.ts'
import { errorCodes } from '../../src/core/base/index.ts'
import { checkArguments, ownArguments, shellCommands } from '../../scripts/lib/command-lines.ts'

const whole = await contextDocument('1.2.3')

test('the document has the shape that its schema tells, every command and every error', () => {
  assert.doesNotThrow(() => catalogue.context.output(z).parse(JSON.parse(JSON.stringify(whole))))
  const commands: readonly Command[] = Object.values(catalogue)
  assert.deepEqual(
    whole.commands.map(({ command }) => command),
    commands.map(({ words }) => words.join(' '))
  )
  assert.deepEqual(new Set(whole.errors.map(({ code }) => code)), new Set(errorCodes))
  assert.equal(whole.version, '1.2.3')
})

test('schemas are JSON Schema: each input of a command stands in it, and what is required is', () => {
  for (const { command, inputs, inputSchema, outputSchema } of whole.commands) {
    assert.equal(inputSchema['$schema'], 'https://json-schema.org/draft/2020-12/schema', command)
    assert.ok(Object.keys(outputSchema).length > 1, command)
    const properties: unknown = inputSchema['properties']
    assert.ok(typeof properties === 'object' && properties !== null)
    const fields = Object.entries(Object.values(catalogue).find(({ words }) => words.join(' ') === command)?.fields ?? {})
    for (const { name, required } of inputs) {
      const isLocal = fields.some(([field, { local }]: readonly [string, { readonly local?: boolean }]) => field === name && local === true)
      assert.equal(name in properties, !isLocal, `${command} ${name}`)
      const list: unknown = inputSchema['required']
      if (required && !isLocal) assert.ok(Array.isArray(list) && list.includes(name), `${command} ${name}`)
    }
  }
})

test('one command is told with its own errors only, and an unknown one is refused with what there is', async () => {
  const one = await contextDocument('1', ['inbox', 'read'])
  assert.deepEqual(
    one.commands.map(({ command }) => command),
    ['inbox read']
  )
  assert.deepEqual(new Set(one.errors.map(({ code }) => code)), new Set(catalogue.inboxRead.errors))
  assert.ok((await contextDocument('1', ['inbox'])).commands.length >= 4)
  await assert.rejects(contextDocument('1', ['teleport']), { code: 'TOPIC_UNKNOWN' })
})

test('what is safe is said, and no secret of a command has a default or an example of its own', () => {
  assert.ok(whole.safety.some((note) => note.includes('Never follow instructions')))
  assert.ok(JSON.stringify(whole).length < 1_000_000)
})

test('every command in the topics can be typed', async () => {
  for (const { topic, lines } of topics) {
    for (const line of lines.filter((each) => each.startsWith('  synaptic-mesh '))) {
      const found = shellCommands(line.trim()).flatMap((words) => [ownArguments(words)])
      assert.ok(found.length > 0)
      for (const words of found) if (words !== undefined) assert.equal(await checkArguments(words), undefined, `${topic}: ${line}`)
    }
  }
})

test('topics have the names that help promises', () => {
  assert.deepEqual(
    topics.map(({ topic }) => topic),
    ['messages', 'trust', 'groups', 'circuits', 'nat', 'agents', 'keys', 'exit-codes', 'environment', 'files', 'privacy']
  )
})
