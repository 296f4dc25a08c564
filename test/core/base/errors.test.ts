import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError } from '../../../src/core/base/index.ts'

test('a name that one stranger claims is answered with the command that approves this stranger', () => {
  const claimedBy = [`12D3KooW${'x'.repeat(44)}`]
  const next = (name: string): string | undefined => new MeshError('PEER_UNKNOWN', { name, nearest: [], claimedBy }).report().next[0]
  assert.equal(next('carol'), `synaptic-mesh p2p approve ${claimedBy[0]} --as carol`)
  assert.equal(next('$(id)'), `synaptic-mesh p2p approve ${claimedBy[0]} --as ALIAS`)
  const unknown = new MeshError('PEER_UNKNOWN', { name: 'carol', nearest: [] }).report().next
  assert.equal(unknown[0], 'synaptic-mesh p2p peers')
  // What a stranger sent may be held though its card, with its name, has not come yet.
  assert.ok(unknown.includes('synaptic-mesh p2p pending'))
})

test('who is blocked is named in the command that lifts the block', () => {
  const next = (peer: string): string | undefined => new MeshError('PEER_BLOCKED', { peer }).report().next[0]
  assert.equal(next('carol'), 'synaptic-mesh p2p peer trust carol')
  assert.equal(next('…5fWmMNzD'), 'synaptic-mesh p2p peer trust …5fWmMNzD')
  assert.equal(next('a b;c'), 'synaptic-mesh p2p peer trust PEER')
})
