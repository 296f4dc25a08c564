/** The systemd unit of docs/relay.md starts a command that there is, with the rights that it needs. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { checkArguments, ownArguments, shellCommands } from '../../scripts/lib/command-lines.ts'
import { inRoot } from '../../scripts/lib/paths.ts'

test('the unit of the relay runs a command line that is taken, and may open port 443', async () => {
  const unit = /^```ini\n(.*?)^```/ms.exec(readFileSync(inRoot('docs', 'relay.md'), 'utf8'))?.[1] ?? ''
  const values = new Map([...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value]))
  const line = values.get('ExecStart')?.replace(/^\S*\//, '') ?? ''
  const [words] = shellCommands(line)
  const args = words === undefined ? undefined : ownArguments(words)
  assert.deepEqual(args?.slice(0, 3), ['p2p', 'relay', 'serve'], line)
  assert.equal(await checkArguments(args), undefined)
  assert.equal(values.get('AmbientCapabilities'), 'CAP_NET_BIND_SERVICE')
  assert.equal(values.get('StateDirectoryMode'), '0700')
})
