import { hash } from 'node:crypto'
import { MeshError, millis, toHex, wallMillis } from '../../src/core/base/index.ts'
import { decodeControl, decodeGroup } from '../../src/core/group/index.ts'
import type { Envelope, GroupMark, MessageDraft } from '../../src/core/message/index.ts'
import { GroupBook } from '../../src/mesh/groups/group-book.ts'
import { GroupService } from '../../src/mesh/groups/group-service.ts'
import { GroupTeller } from '../../src/mesh/groups/group-teller.ts'
import type { ControlHandler, GroupChange, KnownGroup } from '../../src/mesh/groups/group-types.ts'
import type { StoredGroup } from '../../src/mesh/ports.ts'
import { Tracker } from '../../src/mesh/tracker.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { nativeSha256, SimulatedSigner, simulatedVerifier } from '../../src/testing/simulated-keys.ts'

/** A control message on its way. */
interface Letter {
  readonly from: GroupNode
  readonly to: string
  readonly draft: MessageDraft
}

/** The groups of one node over a network that a test moves by hand: what it keeps survives a crash, what it was doing does not. */
export class GroupNode {
  readonly signer: SimulatedSigner
  readonly stored = new Map<string, StoredGroup>()
  /** The outbox: what was said once is not said again. */
  readonly sent = new Map<string, MessageDraft>()
  readonly released: string[] = []
  changes: GroupChange[] = []
  book: GroupBook
  service: GroupService
  /** The next commits that fail, as at a power cut. */
  failingSaves = 0
  /** Whether its outbox takes nothing. */
  isFull = false
  readonly #world: GroupWorld
  #handler: ControlHandler = () => Promise.resolve()

  constructor(world: GroupWorld, name: string) {
    this.#world = world
    this.signer = new SimulatedSigner(new Uint8Array(hash('sha256', name, 'buffer')))
    ;({ book: this.book, service: this.service } = this.#make(name))
    this.restart = async () => {
      ;({ book: this.book, service: this.service } = this.#make(name))
      await this.service.load()
      await this.service.start()
      await this.tracker.settle()
    }
  }

  readonly restart: () => Promise<void>
  readonly tracker = new Tracker(() => undefined)

  get key(): Uint8Array {
    return this.signer.publicKey
  }

  group(): KnownGroup | undefined {
    return this.book.all[0]
  }

  /** What this node holds, to compare: state and hash of its only group. */
  view(): string {
    const group = this.group()
    return group === undefined ? 'none' : `${group.state} ${toHex(group.signed.hash)}`
  }

  /** Takes a control message as delivery would hand it over. */
  receive(source: Uint8Array, { body, contentType, group = markOf(body) }: Pick<MessageDraft, 'body' | 'contentType' | 'group'>): Promise<void> {
    return this.#handler({ source, envelope: { body, contentType, group } as Envelope })
  }

  #make(name: string): { readonly book: GroupBook; readonly service: GroupService } {
    const book = new GroupBook(this.signer.publicKey)
    const clock = { monotonic: () => millis(0), wall: () => wallMillis(1_750_000_000_000 + this.#world.step), bootId: 'sim' }
    const platform = {
      clock,
      random: this.#world.random,
      signer: this.signer,
      verifier: simulatedVerifier,
      sha256: nativeSha256,
      groupStore: {
        groups: () => Promise.resolve([...this.stored.values()]),
        saveGroup: (group: StoredGroup) => this.#save(group),
        deleteGroup: async (id: Uint8Array) => void this.stored.delete(toHex(id))
      }
    }
    const delivery = { submit: (draft: MessageDraft) => this.#submit(draft) }
    const service = new GroupService({
      platform,
      book,
      teller: new GroupTeller({ platform, delivery: delivery as never, via: 'direct' }),
      desk: { assign: (_type: string, handler: ControlHandler) => (this.#handler = handler), poke: () => undefined } as never,
      tracker: this.tracker,
      log: () => undefined,
      describe: (key) => ({ key, name: this.#world.nameOf(key), addresses: [] }),
      nameProblem: (group) => (group === 'peer' ? 'a peer is reached under that name' : undefined),
      onMembers: () => undefined,
      release: async (members) => void this.released.push(...members.map((key) => this.#world.nameOf(key))),
      onChange: async (change) => void this.changes.push(change)
    })
    void name
    return { book, service }
  }

  async #save(group: StoredGroup): Promise<void> {
    if (this.failingSaves > 0) {
      this.failingSaves -= 1
      throw new Error('the power is gone')
    }
    this.stored.set(toHex(group.id), group)
  }

  async #submit(draft: MessageDraft): Promise<unknown> {
    if (this.isFull) throw new MeshError('QUOTA', { where: 'The outbox', reason: 'it is full' })
    if (!this.sent.has(draft.id)) {
      this.sent.set(draft.id, draft)
      this.#world.letters.push({ from: this, to: toHex(draft.destination.key), draft })
    }
    return undefined
  }
}

/** The mark that an honest node gives to a word about a group. */
function markOf(body: Uint8Array): GroupMark {
  const control = decodeControl(body)
  const id = control.kind === 'record' ? decodeGroup(control.record, { verify: () => true }).record.id : control.group
  return { id, epoch: 1, message: 'word' }
}

/** Nodes and the messages between them, delivered in any order. */
export class GroupWorld {
  readonly random: SeededRandom
  readonly letters: Letter[] = []
  step = 0
  readonly #nodes = new Map<string, GroupNode>()
  readonly #names = new Map<string, string>()

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  node(name: string): GroupNode {
    const known = this.#nodes.get(name)
    if (known !== undefined) return known
    const node = new GroupNode(this, name)
    this.#nodes.set(name, node)
    this.#names.set(toHex(node.key), name)
    return node
  }

  nameOf(key: Uint8Array): string {
    return this.#names.get(toHex(key)) ?? ''
  }

  /** Delivers one letter, chosen by chance, sometimes twice; messages of one sender keep their order. False when none is left. */
  async deliverOne(): Promise<boolean> {
    this.step += 1
    const first = this.letters.filter((letter, index) => this.letters.findIndex(({ from, to }) => from === letter.from && to === letter.to) === index)
    const letter = first.length === 0 ? undefined : this.random.pick(first)
    if (letter === undefined) return false
    this.letters.splice(this.letters.indexOf(letter), 1)
    const target = this.#nodes.get(this.#names.get(letter.to) ?? '')
    const times = this.random.chance(0.2) ? 2 : 1
    for (let time = 0; time < times; time++) await target?.receive(letter.from.key, letter.draft).catch(() => undefined)
    return true
  }

  async deliverAll(): Promise<void> {
    while (await this.deliverOne());
  }
}
