import assert from 'node:assert/strict'
import { test } from 'node:test'
import { twinNote } from '../../src/daemon/operations/twin-note.ts'
import type { Contact } from '../../src/mesh/mesh.ts'

const contact = (peerId: string, pinnedName: string, alias?: string): Contact => ({
  ...{ peerId, pinnedName, alias, name: alias ?? pinnedName },
  ...{ paired: true, commands: true, blocked: false, connected: true, since: undefined }
})

const noteOf = (contacts: readonly Contact[], newcomer: Parameters<typeof twinNote>[1]): Promise<string | undefined> =>
  twinNote({ contacts: { list: () => Promise.resolve(contacts) } }, newcomer)

test('a peer that calls itself what another one is called is told with the command that names it', async () => {
  const [first, second] = [contact('A', 'worker'), contact('B', 'worker')]
  const note = await noteOf([first, second], { peerId: 'B', name: 'worker' })
  assert.match(note ?? '', /^Another peer is called worker too, and that name alone is ambiguous now\. .* peer rename B ALIAS /)
})

test('where the name went to another peer, it is said whom it means', async () => {
  const claimed = { peerId: 'B', name: 'worker' }
  assert.match((await noteOf([contact('A', 'worker'), contact('B', '')], claimed)) ?? '', /means the other one/)
  assert.match((await noteOf([contact('A', 'agent', 'worker'), contact('B', 'worker')], claimed)) ?? '', /means the other one/)
})

test('nothing is said of a name, or an alias, that is its own', async () => {
  const contacts = [contact('A', 'worker'), contact('B', 'worker', 'bob')]
  assert.equal(await noteOf(contacts, { peerId: 'B', name: 'worker', alias: 'bob' }), undefined)
  assert.equal(await noteOf([contact('A', 'worker')], { peerId: 'B', name: 'other' }), undefined)
  assert.equal(await noteOf([contact('A', '')], { peerId: 'B', name: '' }), undefined)
})
