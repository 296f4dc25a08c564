/** Every program of examples/ runs, with the package as its users import it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { describe, test } from 'node:test'
import { root, toolEnvironment } from '../../scripts/lib/paths.ts'

const outputs: Readonly<Record<string, readonly RegExp[]>> = {
  'examples/testnet.ts': [/a message to a paired peer is stored/, /a message from a stranger is held/, /the third node found 2 others/],
  'examples/two-agents.ts': [
    /bob is paired with alice/,
    /alice got a Thought of bob: Processing sensory data/,
    /bob's message is stored at alice/,
    /alice answered: done: Execute task sequence/,
    /alice acknowledged 2 messages/
  ]
}

describe('examples', () => {
  for (const example of globSync('examples/*.ts', { cwd: root })) {
    test(`${example} runs and says what it should`, () => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [example], {
        cwd: root,
        encoding: 'utf8',
        env: toolEnvironment(),
        timeout: 60_000
      })
      assert.equal(status, 0, stderr)
      const wanted = outputs[example]
      assert.ok(wanted !== undefined, `${example} needs an entry in this test`)
      for (const pattern of wanted) assert.match(stdout, pattern)
    })
  }
})
