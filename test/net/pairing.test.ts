import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { MeshError, isMeshError } from '../../src/core/base/index.ts'
import { decodeInvite, encodeInvite } from '../../src/core/peers/index.ts'
import type { Mesh } from '../../src/mesh/mesh.ts'
import { inviteAddresses } from '../../src/mesh/invite-addresses.ts'
import { StoreClient } from '../../src/node/sqlite/client.ts'
import { createTestnet } from '../../src/testing/testnet.ts'

const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code
const pairedWith = async (node: Mesh): Promise<readonly string[]> => (await node.peers()).filter((peer) => peer.paired).map((peer) => peer.peerId)

/** Nodes that know nothing of each other. */
const strangers = (count: number) => createTestnet(count, { bootstrap: false })

test('an invite pairs two nodes that know nothing of each other; each pins the name of the other', async () => {
  await using net = await strangers(2)
  const { invite, expiresAt } = await net.node(0).invite({ expiresInS: 600 })
  assert.ok(invite.length <= 300)
  assert.ok(expiresAt > Date.now() && expiresAt <= Date.now() + 602_000)
  const seen: (readonly string[] | undefined)[] = []
  for (const node of net.nodes) node.on('peer', ({ type, peer: { words: said } }) => void (type === 'paired' && seen.push(said)))
  const joined = await net.node(1).join(invite, { alias: 'boss' })
  const { words, ...peer } = joined
  assert.deepEqual(peer, { peerId: net.node(0).peerId, name: 'node-0', alias: 'boss' })
  assert.equal(words?.length, 3)
  // Both people can read the same three words to each other.
  assert.deepEqual((await net.node(0).peer('node-1')).words, words)
  assert.deepEqual((await net.node(1).peer('boss')).words, words)
  assert.deepEqual(seen, [words, words])
  assert.deepEqual(await pairedWith(net.node(0)), [net.node(1).peerId])
  assert.deepEqual(await pairedWith(net.node(1)), [net.node(0).peerId])
  assert.equal((await net.node(1).peer('boss')).peerId, net.node(0).peerId)
  assert.equal((await net.node(0).peer('node-1')).paired, true)
})

test('a used invite is INVITE_USED for another peer, and for the one that used it as well', async () => {
  await using net = await strangers(3)
  const { invite } = await net.node(0).invite()
  await net.node(1).join(invite)
  await assert.rejects(net.node(2).join(invite), failure('INVITE_USED'))
  assert.match(await net.node(0).metrics(), /^synaptic_mesh_pairings_total\{role="inviter",outcome="INVITE_USED"\} 1$/m)
  assert.match(await net.node(1).metrics(), /^synaptic_mesh_pairings_total\{role="joiner",outcome="paired"\} 1$/m)
  assert.deepEqual(await pairedWith(net.node(2)), [])
  await assert.rejects(net.node(1).join(invite), failure('INVITE_USED'))
  assert.deepEqual(await pairedWith(net.node(0)), [net.node(1).peerId])
})

test('of many peers that use one invite at the same time exactly one is paired', async () => {
  await using net = await strangers(5)
  const { invite } = await net.node(0).invite()
  const results = await Promise.allSettled(net.nodes.slice(1).map((node) => node.join(invite)))
  assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1)
  for (const result of results) if (result.status === 'rejected') assert.ok(failure('INVITE_USED')(result.reason), String(result.reason))
  assert.equal((await pairedWith(net.node(0))).length, 1)
})

test('five wrong secrets burn nothing, for they name another invite; five wrong proofs for the right one do', async () => {
  await using net = await strangers(3)
  const { invite } = await net.node(0).invite()
  const parsed = decodeInvite(invite)
  const forged = encodeInvite({ ...parsed, secret: parsed.secret.map((byte) => byte ^ 1) })
  for (let attempt = 0; attempt < 6; attempt++) await assert.rejects(net.node(2).join(forged), failure('INVITE_INVALID'))
  assert.equal((await net.node(1).join(invite)).peerId, net.node(0).peerId)
})

test('an altered invite is INVITE_INVALID before anybody is called', async () => {
  await using net = await strangers(2)
  const { invite } = await net.node(0).invite()
  const altered = `${invite.slice(0, 60)}${invite[60] === 'A' ? 'B' : 'A'}${invite.slice(61)}`
  await assert.rejects(net.node(1).join(altered), failure('INVITE_INVALID'))
  await assert.rejects(net.node(1).join('not an invite'), failure('INVITE_INVALID'))
})

test('an invite of another network, of oneself, and one whose inviter is gone are named so', async () => {
  await using net = await strangers(2)
  const other = await net.add({ network: 'elsewhere' })
  const { invite } = await net.node(0).invite()
  await assert.rejects(other.join(invite), failure('NETWORK_MISMATCH'))
  await assert.rejects(net.node(0).join(invite), failure('INVITE_INVALID'))
  await net.node(0).stop()
  await assert.rejects(net.node(1).join(invite), failure('PEER_UNREACHABLE'))
})

test('an alias that another peer has is refused before the invite is used', async () => {
  await using net = await strangers(3)
  await net.node(0).join((await net.node(1).invite()).invite, { alias: 'friend' })
  const { invite } = await net.node(2).invite()
  await assert.rejects(net.node(0).join(invite, { alias: 'friend' }), failure('OPTION_INVALID'))
  assert.equal((await net.node(0).join(invite, { alias: 'other' })).alias, 'other')
})

test('the time of an invite has a range', async () => {
  await using net = await strangers(1)
  for (const expiresInS of [0, 59, 604_801, 1.5, Number.NaN]) await assert.rejects(net.node(0).invite({ expiresInS }), failure('OPTION_INVALID'))
})

test('the log of a refused pairing names the code and holds no secret', async () => {
  const records: string[] = []
  await using net = await createTestnet(3, { bootstrap: false, onLog: (_index, record) => records.push(JSON.stringify(record)) })
  const { invite } = await net.node(0).invite()
  await net.node(1).join(invite)
  await net
    .node(2)
    .join(invite)
    .catch((error: unknown) => assert.ok(error instanceof MeshError))
  assert.ok(records.some((record) => record.includes('INVITE_USED')))
  const secret = Buffer.from(decodeInvite(invite).secret)
  for (const form of [secret.toString('hex'), secret.toString('base64'), secret.toString('base64url'), invite])
    assert.ok(!records.some((record) => record.includes(form)))
})

test('an invite names public addresses that nobody has confirmed, too, of IPv6 one: the first peer of a node on a server needs them', () => {
  const unconfirmed = ['/ip6/2a0f::2/tcp/9001/ws', '/ip6/2a0f::2/tcp/9000', '/ip6/2a0f::3/tcp/9000', '/ip4/192.0.2.1/tcp/9000']
  assert.deepEqual(inviteAddresses(['/ip4/127.0.0.1/tcp/9000'], unconfirmed), ['/ip4/192.0.2.1/tcp/9000', '/ip6/2a0f::2/tcp/9000'])
  assert.deepEqual(inviteAddresses(['/ip4/10.0.0.2/tcp/1', '/ip4/192.0.2.9/tcp/1', '/ip4/192.0.2.8/tcp/1/p2p/A/p2p-circuit'], unconfirmed), [
    '/ip4/192.0.2.9/tcp/1',
    '/ip4/192.0.2.8/tcp/1/p2p/A/p2p-circuit',
    '/ip4/192.0.2.1/tcp/9000',
    '/ip6/2a0f::2/tcp/9000',
    '/ip4/10.0.0.2/tcp/1'
  ])
})

test('a pairing is at the level and with the signatures that either side asks for', { timeout: 60_000 }, async () => {
  const strict = { quantumResistant: true, mlkemSecurityLevel: 5, quantumSignatures: true } as const
  await using net = await createTestnet(2, { bootstrap: false, config: (index) => (index === 0 ? strict : {}) })
  const [strictNode, other] = [net.node(0), net.node(1)]
  const joined = await other.join((await strictNode.invite()).invite)
  assert.deepEqual((await strictNode.peer(other.peerId)).words, joined.words)
  const back = await strictNode.join((await other.invite()).invite)
  assert.deepEqual((await other.peer(strictNode.peerId)).words, back.words)
  assert.notDeepEqual(back.words, joined.words)
})

test('nobody is paired with who is blocked: neither by an invite of its, nor by one that it was given before', async () => {
  await using net = await strangers(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  const given = await alice.invite()
  const { invite } = await bob.invite()
  await alice.contacts.block(bob.peerId)
  await assert.rejects(alice.join(invite), failure('PEER_BLOCKED'))
  await assert.rejects(bob.join(given.invite, { timeoutMs: 15_000 }))
  assert.deepEqual([await pairedWith(alice), await pairedWith(bob)], [[], []])
  await alice.contacts.trust(bob.peerId)
  await bob.join(given.invite)
  assert.deepEqual(await pairedWith(alice), [bob.peerId])
})

/** Does `work` once, before a store is asked for `asked` for the first time after it answered `answered`. `redeemed`: when a store answered that, as it may. */
function between(answered: string, asked: string, work: () => Promise<unknown>): { readonly restore: () => void; readonly redeemed: Promise<void> } {
  const call = StoreClient.prototype.call
  const state = { isArmed: false }
  const redeemed = Promise.withResolvers<void>()
  const hooked = async function (this: StoreClient, ...[name, args]: Parameters<typeof call>): Promise<unknown> {
    if (name === asked && state.isArmed) {
      state.isArmed = false
      await work()
    }
    try {
      const result = await call.call(this, name, args)
      if (name === answered) state.isArmed = true
      return result
    } finally {
      if (name === 'redeem') redeemed.resolve()
    }
  }
  const { mock: made } = mock.method(StoreClient.prototype, 'call', hooked)
  return { restore: () => made.restore(), redeemed: redeemed.promise }
}

test('who is blocked while it pairs is not paired: by the inviter, before the invite is redeemed', { timeout: 60_000 }, async () => {
  await using net = await strangers(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  const { invite } = await alice.invite()
  const { restore, redeemed } = between('invite', 'invite', () => alice.contacts.block(bob.peerId))
  try {
    await assert.rejects(bob.join(invite, { timeoutMs: 15_000 }))
    await redeemed
  } finally {
    restore()
  }
  assert.equal((await alice.peer(bob.peerId)).blocked, true)
  // Had it been saved, it would be a paired peer again as soon as the block is lifted.
  await alice.contacts.trust(bob.peerId)
  assert.deepEqual([await pairedWith(alice), await pairedWith(bob)], [[], []])
})

test('who is blocked while it pairs is not paired: by the joiner, before the inviter is saved', { timeout: 60_000 }, async () => {
  await using net = await strangers(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  const { invite } = await alice.invite()
  const { restore } = between('redeem', 'pairs', () => bob.contacts.block(alice.peerId))
  try {
    await assert.rejects(bob.join(invite, { timeoutMs: 15_000 }), failure('PEER_BLOCKED'))
  } finally {
    restore()
  }
  await bob.contacts.trust(alice.peerId)
  assert.deepEqual(await pairedWith(bob), [])
})
