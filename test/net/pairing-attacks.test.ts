import assert from 'node:assert/strict'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import { decodeInvite, encodeCard, encodeInvite, inviteIdOf } from '../../src/core/peers/index.ts'
import { encodePairingFrame } from '../../src/core/peers/pairing-frames.ts'
import { hmacSha256 } from '../../src/crypto/index.ts'
import type { Mesh } from '../../src/mesh/mesh.ts'
import { HostileNode, endOf, frame } from '../../src/testing/hostile/hostile-node.ts'
import { HostileSession } from '../../src/testing/hostile/hostile-session.ts'
import { createTestnet } from '../../src/testing/testnet.ts'
import { cardOf } from '../core/peers/support.ts'
import { until } from './support.ts'

const failure = (code: string) => (error: unknown) => isMeshError(error) && error.code === code
const pairedWith = async (node: Mesh): Promise<readonly string[]> => (await node.peers()).filter((peer) => peer.paired).map((peer) => peer.peerId)
const byText = (one: readonly unknown[], other: readonly unknown[]): number => String(one).localeCompare(String(other))
const strangers = (count: number) => createTestnet(count, { bootstrap: false })
const portOf = (address: string): number => Number(/\/tcp\/(\d+)/.exec(address)?.[1])

/** Somebody on the way who keeps every byte of both directions. */
interface Tap extends AsyncDisposable {
  readonly port: number
  readonly sent: readonly Uint8Array[]
  readonly heard: readonly Uint8Array[]
}

async function startTap(port: number): Promise<Tap> {
  const sent: Uint8Array[] = []
  const heard: Uint8Array[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    near.on('data', (bytes: Uint8Array) => void sent.push(bytes)).pipe(far)
    far.on('data', (bytes: Uint8Array) => void heard.push(bytes)).pipe(near)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return { port: address.port, sent, heard, [Symbol.asyncDispose]: stop }
}

test('whoever stands between and gives out an invite of its own pairs with both, and the two people see different words', async () => {
  await using net = await strangers(3)
  const [alice, bob, mallory] = [net.node(0), net.node(1), net.node(2)]
  const { invite } = await alice.invite()
  // What bob gets has mallory's key, secret and addresses in it, and everything else as it was.
  const forged = encodeInvite({ ...decodeInvite((await mallory.invite()).invite), expiresAt: decodeInvite(invite).expiresAt })
  const bobsWords = (await bob.join(forged)).words
  await mallory.join(invite)
  const alicesWords = (await alice.peer(mallory.peerId)).words
  assert.equal(bobsWords?.length, 3)
  assert.equal(alicesWords?.length, 3)
  assert.notDeepEqual(alicesWords, bobsWords)
})

test('an invite whose address leads to somebody else pairs nobody, and neither does one with another key', async () => {
  await using net = await strangers(3)
  const [alice, bob, mallory] = [net.node(0), net.node(1), net.node(2)]
  const parsed = decodeInvite((await alice.invite()).invite)
  const elsewhere = decodeInvite((await mallory.invite()).invite)
  const redirected = encodeInvite({ ...parsed, addresses: elsewhere.addresses })
  await assert.rejects(
    bob.join(redirected, { timeoutMs: 20_000 }),
    (error) => isMeshError(error) && ['PEER_UNREACHABLE', 'IDENTITY_MISMATCH', 'TIMEOUT'].includes(error.code)
  )
  // The key of another, the secret of alice: mallory has never heard of it.
  await assert.rejects(bob.join(encodeInvite({ ...elsewhere, secret: parsed.secret })), failure('INVITE_INVALID'))
  for (const node of net.nodes) assert.deepEqual(await pairedWith(node), [])
})

test('an invite that is read after its use, with every byte of the pairing, gives nothing: no pairing, no replay, no name, no secret in the traffic', async () => {
  await using net = await strangers(3)
  const [alice, bob, eve] = [net.node(0), net.node(1), net.node(2)]
  const { invite } = await alice.invite()
  const parsed = decodeInvite(invite)
  await using tap = await startTap(portOf(parsed.addresses[0] ?? ''))
  await bob.join(encodeInvite({ ...parsed, addresses: [`/ip4/127.0.0.1/tcp/${tap.port}`] }))
  const traffic = Buffer.concat([...tap.sent, ...tap.heard])
  assert.ok(traffic.length > 2_000)
  for (const secret of [Buffer.from(parsed.secret), Buffer.from(inviteIdOf(parsed.secret)), Buffer.from('node-1'), Buffer.from(invite)])
    assert.equal(traffic.indexOf(secret), -1)
  await assert.rejects(eve.join(invite), failure('INVITE_USED'))
  // The same bytes once more, to the inviter itself.
  const replay = connect(portOf(parsed.addresses[0] ?? ''), '127.0.0.1')
  const ended = new Promise<void>((resolve) => replay.on('close', () => resolve()).on('error', () => undefined))
  for (const bytes of tap.sent) replay.write(bytes)
  replay.end()
  await ended
  assert.deepEqual(await pairedWith(alice), [bob.peerId])
  assert.deepEqual(await pairedWith(eve), [])
  assert.deepEqual(
    (await alice.invites.list()).map(({ state, usedBy }) => [state, usedBy?.peerId]),
    [['used', bob.peerId]]
  )
})

/** One try with an invite over the wire, by hand; how the victim ended it. */
async function attempt(victim: Mesh, inviteId: Uint8Array, proof: Uint8Array): Promise<string> {
  await using node = await HostileNode.start('testnet')
  const connection = await node.connect(victim.addresses())
  const session = await HostileSession.open(node, connection, { protocol: 'pair' })
  session.push(frame(encodePairingFrame({ kind: 'join', inviteId, proof, card: new Uint8Array(1) })))
  return endOf(session.stream, 10_000)
}

test('five wrong proofs over the wire burn the invite, and its secret is of no use any more', async () => {
  await using net = await strangers(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  const { invite, id } = await alice.invite()
  const { secret } = decodeInvite(invite)
  const inviteId = inviteIdOf(secret)
  for (let round = 1; round <= 5; round++) {
    // The right secret, and what another session would have exported: what a thief of a proof has.
    assert.notEqual(await attempt(alice, inviteId, hmacSha256(secret, new Uint8Array(32))), 'open')
    const count = async (): Promise<boolean> => (await alice.invites.list())[0]?.failures === round
    await until(count, `${round} failures are counted`)
  }
  assert.equal((await alice.invites.list())[0]?.state, 'burnt')
  await assert.rejects(bob.join(invite), failure('INVITE_USED'))
  await assert.rejects(alice.invites.wait(id), failure('INVITE_USED'))
  assert.deepEqual(await pairedWith(alice), [])
})

test('who waits for an invite is told the peer and the words that the other side has; invites are listed, named by a prefix, and taken back', async () => {
  await using net = await strangers(3)
  const [alice, bob] = [net.node(0), net.node(1)]
  const first = await alice.invite()
  const second = await alice.invite({ commands: false, expiresInS: 600 })
  const waiting = alice.invites.wait(first.id.slice(0, 8))
  const joined = await bob.join(first.invite, { alias: 'boss' })
  assert.deepEqual(await waiting, { peerId: bob.peerId, name: 'node-1', alias: undefined, words: joined.words })
  assert.deepEqual(await alice.invites.wait(first.id), await waiting)
  assert.deepEqual(
    (await alice.invites.list()).map(({ id, state, commands, usedBy }) => [id, state, commands, usedBy?.name]).toSorted(byText),
    [
      [first.id, 'used', true, 'node-1'],
      [second.id, 'open', false, undefined]
    ].toSorted(byText)
  )
  await assert.rejects(alice.invites.wait(second.id, { timeoutMs: 50 }), failure('TIMEOUT'))
  const revoked = assert.rejects(alice.invites.wait(second.id), failure('INVITE_REVOKED'))
  assert.equal(await alice.invites.revoke(second.id), second.id)
  await revoked
  await assert.rejects(net.node(2).join(second.invite), failure('INVITE_REVOKED'))
  await assert.rejects(alice.invites.revoke(first.id), failure('INVITE_USED'))
  await assert.rejects(alice.invites.revoke('ffffffff'), failure('INVITE_UNKNOWN'))
})

test('each side says for itself whether it takes Commands from the other', async () => {
  await using net = await strangers(2)
  const [alice, bob] = [net.node(0), net.node(1)]
  const { invite } = await alice.invite({ commands: false })
  await bob.join(invite)
  assert.deepEqual([(await alice.peer(bob.peerId)).commands, (await bob.peer(alice.peerId)).commands], [false, true])
  const { invite: again } = await alice.invite()
  await bob.join(again, { commands: false })
  assert.deepEqual([(await alice.peer(bob.peerId)).commands, (await bob.peer(alice.peerId)).commands], [true, false])
})

test('a joiner whose answer was lost may come again until it has said that it is done', async () => {
  await using net = await strangers(1)
  const alice = net.node(0)
  const { invite } = await alice.invite()
  const { secret } = decodeInvite(invite)
  await using node = await HostileNode.start('testnet')
  const card = encodeCard(cardOf(node.publicKey, { network: 'testnet', name: 'joiner' }), node.signer)
  const connection = await node.connect(alice.addresses())
  /** The kind of the frame that answers; with `isDone` the joiner says so. */
  const answer = async (isDone: boolean): Promise<number> => {
    const heard: Uint8Array[] = []
    const session = await HostileSession.open(node, connection, { protocol: 'pair', onData: (data) => void heard.push(data.slice()) })
    const proof = hmacSha256(
      secret,
      proofBytes('testnet', { joiner: node.publicKey, inviter: decodeInvite(invite).publicKey, binding: session.binding, secret })
    )
    session.push(frame(encodePairingFrame({ kind: 'join', inviteId: inviteIdOf(secret), proof, card })))
    await until(() => heard.reduce((sum, bytes) => sum + bytes.length, 0) > 4, 'the inviter answers')
    if (!isDone) session.stream.abort(new Error('lost'))
    else {
      session.push(frame(encodePairingFrame({ kind: 'done' })))
      session.end()
      void session.stream.close()
      assert.notEqual(await endOf(session.stream, 10_000), 'open')
    }
    return Buffer.concat(heard)[4] ?? 0
  }
  assert.deepEqual([await answer(false), await answer(true), await answer(true)], [2, 3, 4])
  assert.deepEqual(await pairedWith(alice), [node.libp2p.peerId.toString()])
})

/** What a proof is made over, written down a second time from docs/wire/pairing.md. */
function proofBytes(network: string, parts: Readonly<Record<'joiner' | 'inviter' | 'binding' | 'secret', Uint8Array>>): Uint8Array {
  const prefixed = (bytes: Uint8Array): Buffer => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return Buffer.concat([length, bytes])
  }
  const { joiner, inviter, binding, secret } = parts
  const fields = [Buffer.from('joiner'), Buffer.from(network), joiner, inviter, binding, inviteIdOf(secret)]
  return new Uint8Array(Buffer.concat([Buffer.from('synaptic-mesh-pair/2'), ...fields.map(prefixed)]))
}
