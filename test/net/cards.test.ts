import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError, wallMillis } from '../../src/core/base/index.ts'
import { type Card, encodeCard } from '../../src/core/peers/index.ts'
import { createSigner, createVerifier, sha256 } from '../../src/crypto/index.ts'
import { CardService, type GossipVerdict } from '../../src/mesh/cards.ts'
import { peerIdOfKey } from '../../src/mesh/peer-keys.ts'
import { clock, random, startTestHost, type TestHost, timers } from './support.ts'

const network = 'test'

interface Served extends AsyncDisposable {
  readonly node: TestHost
  readonly cards: CardService
  readonly heard: { readonly peerId: string; readonly card: Card }[]
  /** What gossip would hand over. */
  gossip(from: string, data: Uint8Array, via?: string): GossipVerdict
}

async function serve(name: string): Promise<Served> {
  const node = await startTestHost()
  const heard: { readonly peerId: string; readonly card: Card }[] = []
  let handler: (from: string, data: Uint8Array, via: string) => GossipVerdict = () => 'ignore'
  const cards = new CardService({
    libp2p: node.libp2p,
    host: node.host,
    clock,
    timers,
    random,
    network,
    sha256,
    gossip: { subscribe: (_topic, given) => void (handler = given), publish: async () => 0 },
    signer: createSigner(node.seed, network),
    verifier: createVerifier(network),
    log: (record) => node.logs.push(record),
    describe: () => ({ name, labels: ['worker'], features: ['message-1'] }),
    onCard: (peerId, card) => heard.push({ peerId, card })
  })
  await cards.start()
  const stop = async (): Promise<void> => {
    cards.stop()
    await node[Symbol.asyncDispose]()
  }
  return { node, cards, heard, gossip: (from, data, via = from) => handler(from, data, via), [Symbol.asyncDispose]: stop }
}

const cardBy = (seed: string, changes: Partial<Card> = {}): { readonly peerId: string; readonly bytes: Uint8Array } => {
  const signer = createSigner(sha256(new TextEncoder().encode(seed)), network)
  const card: Card = {
    network,
    publicKey: signer.publicKey,
    name: seed,
    labels: [],
    features: [],
    addresses: [],
    issuedAt: wallMillis(1_000),
    ...changes
  }
  return { peerId: peerIdOfKey(signer.publicKey), bytes: encodeCard(card, signer) }
}

test('two nodes that exchange cards know name, labels, features and addresses of each other', async () => {
  await using a = await serve('alice')
  await using b = await serve('bob')
  await a.node.libp2p.dial(b.node.libp2p.getMultiaddrs())
  const { card, rttMs } = await a.cards.visit(b.node.peerId)
  assert.equal(card.name, 'bob')
  assert.deepEqual(card.labels, ['worker'])
  assert.deepEqual(card.addresses, b.node.libp2p.getMultiaddrs().map(String))
  assert.ok(rttMs > 0 && rttMs < 5_000)
  assert.deepEqual(
    b.heard.map(({ peerId, card: theirs }) => [peerId, theirs.name]),
    [[a.node.peerId, 'alice']]
  )
  assert.deepEqual(a.cards.get(b.node.peerId), card)
})

test('a gossiped card counts only when its key is the key that signed the gossip', async () => {
  await using a = await serve('alice')
  const honest = cardBy('honest')
  const other = cardBy('other')
  assert.equal(a.gossip(honest.peerId, honest.bytes), 'accept')
  assert.equal(a.gossip(other.peerId, honest.bytes), 'reject')
  assert.equal(a.gossip(honest.peerId, new Uint8Array([1, 2, 3])), 'reject')
  assert.equal(a.gossip(honest.peerId, new Uint8Array(10_000)), 'reject')
  const elsewhere = cardBy('third', { network: 'elsewhere' })
  assert.equal(a.gossip(elsewhere.peerId, elsewhere.bytes), 'reject')
  assert.deepEqual(
    a.heard.map(({ card }) => card.name),
    ['honest']
  )
})

test('a flood of announcements of one signer is ignored beyond its rate, and others are heard', async () => {
  await using a = await serve('alice')
  const noisy = cardBy('noisy')
  const verdicts = Array.from({ length: 50 }, () => a.gossip(noisy.peerId, noisy.bytes))
  assert.equal(verdicts.filter((verdict) => verdict === 'accept').length, 5)
  const other = cardBy('other')
  assert.equal(a.gossip(other.peerId, other.bytes), 'accept')
})

test('an older card does not replace a newer one', async () => {
  await using a = await serve('alice')
  const newer = cardBy('bob', { issuedAt: wallMillis(2_000), name: 'new-name' })
  const older = cardBy('bob', { issuedAt: wallMillis(1_000), name: 'old-name' })
  assert.equal(a.gossip(newer.peerId, newer.bytes), 'accept')
  assert.equal(a.gossip(older.peerId, older.bytes), 'accept')
  assert.equal(a.cards.get(newer.peerId)?.name, 'new-name')
  assert.equal(a.heard.length, 1)
})

test('the own card is the same bytes until what it says changes', async () => {
  await using a = await serve('alice')
  assert.deepEqual(a.cards.own(), a.cards.own())
})

test('a peer that answers with the card of somebody else is IDENTITY_MISMATCH', async () => {
  await using a = await serve('alice')
  await using liar = await startTestHost()
  await liar.host.serve('card', async (stream) => {
    for await (const _frame of stream.frames()) await stream.send(cardBy('victim').bytes)
  })
  await a.node.libp2p.dial(liar.libp2p.getMultiaddrs())
  await assert.rejects(a.cards.fetch(liar.peerId), (error) => isMeshError(error, 'IDENTITY_MISMATCH'))
  assert.equal(a.cards.get(liar.peerId), undefined)
})

test('a peer that hands over the cards of a swarm is heard no faster than its rate, and others are heard meanwhile', async () => {
  await using a = await serve('alice')
  const swarm = Array.from({ length: 600 }, (_, index) => cardBy(`sybil-${index}`))
  const verdicts = swarm.map(({ peerId, bytes }) => a.gossip(peerId, bytes, 'mallory'))
  const accepted = verdicts.filter((verdict) => verdict === 'accept').length
  assert.ok(accepted >= 250 && accepted < 400, `${accepted} of 600 were passed on`)
  assert.ok(verdicts.slice(accepted).includes('ignore'))
  const honest = cardBy('honest')
  assert.equal(a.gossip(honest.peerId, honest.bytes, 'neighbour'), 'accept')
})

test('a peer that asks is told its own newest card, whether it issued it or somebody else with its key, and nobody else is', async () => {
  await using a = await serve('alice')
  await using b = await serve('bob')
  await b.node.libp2p.dial(a.node.libp2p.getMultiaddrs())
  assert.equal(await b.cards.seenBy(a.node.peerId), undefined)
  await b.cards.fetch(a.node.peerId)
  const seen = await b.cards.seenBy(a.node.peerId)
  assert.deepEqual([seen?.card.name, seen?.isOurs], ['bob', true])
  const signer = createSigner(b.node.seed, network)
  const twin = {
    network,
    publicKey: signer.publicKey,
    name: 'twin',
    labels: [],
    features: [],
    addresses: [],
    issuedAt: wallMillis(b.cards.issuedAt + 1_000)
  }
  assert.equal(a.gossip(b.node.peerId, encodeCard(twin, signer)), 'accept')
  const foreign = await b.cards.seenBy(a.node.peerId)
  assert.deepEqual([foreign?.card.name, foreign?.isOurs], ['twin', false])
  b.cards.outdo(twin.issuedAt)
  assert.ok(b.cards.issuedAt > twin.issuedAt)
  await b.cards.fetch(a.node.peerId)
  assert.equal((await b.cards.seenBy(a.node.peerId))?.isOurs, true)
  assert.equal((await a.cards.seenBy(b.node.peerId))?.card.name, 'alice', 'each is told of itself')
})
