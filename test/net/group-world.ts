import { equalBytes, MeshError, type Signer, toHex, wallMillis } from '../../src/core/base/index.ts'
import { createGroup, editGroup, type GroupMember, memberMessageId, type SignedGroup } from '../../src/core/group/index.ts'
import { encodeEnvelope, type Envelope, type InboundMessage, type MessageDraft, type OutboxRow } from '../../src/core/message/index.ts'
import { nodeHandshakeCrypto } from '../../src/crypto/handshake-crypto.ts'
import { createSigner, createVerifier } from '../../src/crypto/index.ts'
import type { GossipVerdict } from '../../src/mesh/cards.ts'
import type { Submitted } from '../../src/mesh/delivery-calls.ts'
import { GroupBook } from '../../src/mesh/groups/group-book.ts'
import { type GroupFrameEvent, GroupGossip } from '../../src/mesh/groups/group-gossip.ts'
import { type GroupKeyStore, GroupKeys, type StoredGroupKey } from '../../src/mesh/groups/group-keys.ts'
import type { KnownGroup } from '../../src/mesh/groups/group-types.ts'
import { peerIdOfKey } from '../../src/mesh/peer-keys.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import { nativeSha256 } from '../../src/testing/simulated-keys.ts'
import { clock, random } from './support.ts'

const network = 'test'
const verifier = createVerifier(network)
export const signerOf = (seed: number): Signer => createSigner(new Uint8Array(32).fill(seed), network)
const memberOf = (key: Uint8Array): GroupMember => ({ key, name: '', addresses: [] })

/** A key store that survives its node. */
class MemoryKeys implements GroupKeyStore {
  readonly rows = new Map<string, StoredGroupKey>()
  saves = 0

  groupKeys(): Promise<readonly StoredGroupKey[]> {
    return Promise.resolve([...this.rows.values()])
  }

  saveGroupKey(key: StoredGroupKey): Promise<void> {
    const before = this.rows.get(toHex(key.tag))
    this.saves += 1
    this.rows.set(toHex(key.tag), { ...key, counter: Math.max(key.counter, before?.counter ?? 0), isTold: key.isTold || before?.isTold === true })
    return Promise.resolve()
  }

  dropGroupKeys(tags: readonly Uint8Array[]): Promise<void> {
    for (const tag of tags) this.rows.delete(toHex(tag))
    return Promise.resolve()
  }
}

/** One member with everything that a large group needs, over gossip and a delivery that only note what they are given. */
export class Member {
  readonly signer: Signer
  readonly store: MemoryKeys
  readonly book: GroupBook
  readonly keys: GroupKeys
  readonly gossip: GroupGossip
  /** Frames that it published. */
  readonly frames: Uint8Array[] = []
  readonly heard: { readonly message: InboundMessage; readonly envelope: Envelope }[] = []
  readonly events: GroupFrameEvent[] = []
  readonly rows = new Map<string, OutboxRow>()
  readonly parked: boolean[] = []
  readonly gossiped: { readonly ids: readonly string[]; readonly isGiven: boolean }[] = []
  readonly told: { readonly member: Uint8Array; readonly body: Uint8Array }[] = []
  readonly failures: MeshError[] = []
  readonly tracker = new Tracker((_, error) => this.failures.push(error))
  readonly #epoch = random.bytes(16)
  neighbours = 3
  cannotTell = false
  #sequence = 0

  constructor(signer: Signer, store = new MemoryKeys(), options: { readonly onionRouting?: boolean } = {}) {
    this.signer = signer
    this.store = store
    this.book = new GroupBook(signer.publicKey)
    this.keys = new GroupKeys({
      ...{ crypto: nodeHandshakeCrypto, random, store, directory: this.book, ownKey: signer.publicKey },
      tell: (member, _, body) => {
        if (this.cannotTell) return Promise.reject(new MeshError('QUOTA', { where: 'The outbox', reason: 'full' }))
        this.told.push({ member, body })
        return Promise.resolve()
      }
    })
    this.gossip = new GroupGossip({
      platform: { clock, crypto: nodeHandshakeCrypto, signer, verifier, sha256: nativeSha256, deliveryStore: this.#deliveryStore() },
      gossip: {
        subscribe: () => undefined,
        publish: (_, data) => {
          if (this.neighbours > 0) this.frames.push(data)
          return Promise.resolve(this.neighbours)
        }
      },
      ...{ network, directory: this.book, keys: this.keys, tracker: this.tracker, log: () => undefined },
      delivery: {
        now: () => ({ bootId: 'test', monotonic: clock.monotonic(), wall: clock.wall() }),
        submit: (draft, park) => Promise.resolve(this.#submit(draft, park?.at.wall)),
        gossiped: (ids, isGiven) => void this.gossiped.push({ ids, isGiven }),
        heard: (message, envelope) => void this.heard.push({ message, envelope })
      },
      onionRouting: options.onionRouting ?? false,
      onFrame: (event) => void this.events.push(event)
    })
  }

  get publicKey(): Uint8Array {
    return this.signer.publicKey
  }

  get peerId(): string {
    return peerIdOfKey(this.publicKey)
  }

  /** Takes a record, as after its commit. */
  async join(signed: SignedGroup, before?: SignedGroup): Promise<void> {
    const isIn = signed.record.members.some(({ key }) => equalBytes(key, this.publicKey))
    this.book.put({ signed, state: isIn ? 'joined' : 'removed', before })
    await this.keys.changed({ group: this.group(signed), before, isOwn: equalBytes(signed.record.author, this.publicKey) })
  }

  group(signed: SignedGroup): KnownGroup {
    return this.book.require(`@${toHex(signed.record.id)}`.slice(0, 33))
  }

  async send(group: KnownGroup, text: string, change: Partial<MessageDraft> = {}): Promise<void> {
    await this.gossip.submit(group, draftsOf(group, this.publicKey, { body: new TextEncoder().encode(text), ...change }))
    await this.tracker.settle()
  }

  /** Hears a frame as if its neighbours had handed it over. */
  hear(from: Member, frame: Uint8Array | undefined): GossipVerdict {
    return this.gossip.heard({ from: from.peerId, via: 'neighbour' }, frame ?? new Uint8Array())
  }

  #submit(draft: MessageDraft, wall: number | undefined): Submitted {
    this.parked.push(wall !== undefined)
    const { label, ...fields } = draft
    const sequence = ++this.#sequence
    const accepted = { bootId: 'test', monotonic: clock.monotonic(), wall: wallMillis(wall ?? clock.wall()) }
    const envelope = encodeEnvelope({
      ...{ ...fields, version: 1, source: { kind: 'peer', key: this.publicKey, label }, epoch: this.#epoch, sequence },
      timestamp: wallMillis(Math.floor(accepted.wall))
    })
    const { id, via, type, priority, ttlS } = draft
    const row: OutboxRow = {
      ...{ id, via, type, priority, sequence, accepted, envelope, destination: draft.destination.key, digest: nativeSha256(envelope) },
      ...{ ttlMs: ttlS * 1_000, state: 'sent', attempts: 0, path: '', failure: '', settledMs: 0 }
    }
    this.rows.set(id, row)
    return { entry: { ...row, bytes: envelope.length }, duplicate: false }
  }

  #deliveryStore(): ConstructorParameters<typeof GroupGossip>[0]['platform']['deliveryStore'] {
    const loadOutbox = (ids: readonly string[]): Promise<readonly OutboxRow[]> => Promise.resolve(ids.flatMap((id) => this.rows.get(id) ?? []))
    return { loadOutbox }
  }
}

/** One message for all others. */
function draftsOf(group: KnownGroup, own: Uint8Array, change: Partial<MessageDraft>): readonly MessageDraft[] {
  const { id, epoch, members } = group.signed.record
  const message = toHex(random.bytes(13))
  return members
    .filter(({ key }) => !equalBytes(key, own))
    .map(({ key }) => ({
      id: memberMessageId({ group: id, message, member: key }),
      ...({ type: 'AgentCoordination', via: 'direct', label: '', inReplyTo: undefined, expectsReply: false, priority: 5, ttlS: 3_600 } as const),
      contentType: 'text/plain; charset=utf-8',
      body: new TextEncoder().encode('hello'),
      destination: { kind: 'peer', key, label: '' },
      group: { id, epoch, message },
      ...change
    }))
}

/** A group of 40 keys of which the first few are nodes; the first is its creator and tells the others its key. */
export async function largeGroup(nodes: readonly Member[], size = 40): Promise<SignedGroup> {
  const [creator] = nodes
  if (creator === undefined) throw new RangeError('a group has a creator')
  const keys = [
    ...nodes.map(({ publicKey }) => publicKey),
    ...Array.from({ length: size - nodes.length }, (_, index) => signerOf(100 + index).publicKey)
  ]
  const signed = createGroup({ name: 'swarm-alpha', salt: random.bytes(16), members: keys.map(memberOf), issuedAt: clock.wall() }, creator.signer)
  await spread(nodes, signed)
  return signed
}

/** Takes a member out, as the creator. */
export async function without(nodes: readonly Member[], signed: SignedGroup, gone: Member): Promise<SignedGroup> {
  const [creator] = nodes
  const next = creator === undefined ? undefined : editGroup(signed, { remove: [gone.publicKey], issuedAt: clock.wall() }, creator.signer)
  if (next === undefined) throw new RangeError('nothing changed')
  await spread(
    nodes.filter((node) => node !== gone),
    next,
    signed
  )
  return next
}

async function spread(nodes: readonly Member[], signed: SignedGroup, before?: SignedGroup): Promise<void> {
  const [creator] = nodes
  for (const node of nodes) await node.join(signed, before)
  for (const { member, body } of creator?.told.splice(0) ?? []) {
    const node = nodes.find(({ publicKey }) => equalBytes(publicKey, member))
    await node?.keys.learn({ source: creator?.publicKey ?? member, body })
  }
}
