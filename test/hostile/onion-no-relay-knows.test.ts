import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { toHex } from '../../src/core/base/index.ts'
import { keyOf } from '../../src/mesh/peer-book.ts'
import { bundleChild } from '../crash/bundle-child.ts'
import { until } from '../net/support.ts'
import { OnionNode, type RelayDump } from './onion-node.ts'
import { searchMemory } from './process-memory.ts'
import type { Leaf } from './state-walk.ts'

const count = 8
const base = mkdtempSync(join(tmpdir(), 'sm-onion-'))
const needsLinux = process.platform !== 'linux' && 'reads /proc/PID/mem'

/** How a member may be named in text, and in bytes. */
interface Identity {
  readonly node: OnionNode
  readonly texts: readonly string[]
  readonly key: string
}

function identityOf(node: OnionNode): Identity {
  const key = toHex(keyOf(node.peerId))
  const port = /\/tcp\/(\d+)/.exec(node.address)?.[1] ?? assert.fail('no port')
  // Logs shorten a peer id to its last eight characters.
  return { node, key, texts: [key, node.peerId.slice(-8), `/tcp/${port}`, `:${port}`] }
}

const names = (identity: Identity, text: string): boolean => identity.texts.some((each) => text.includes(each))
const holds = (identity: Identity, { kind, value }: Leaf): boolean =>
  kind === 'bytes' ? value.includes(identity.key) : kind === 'text' && names(identity, value)

/** What a relay has on its neighbours as such, whatever runs over their links. */
const ofNeighbours = [
  /^#machine\.#table\.links\.\[\[Entries\]\]\.\d+\.value\.(?:key|neighbour\.publicKey)$/,
  /queues\.#links\.\[\[Entries\]\]\.\d+\.value\.peer$/,
  /queues\.#peerCells\.\[\[Entries\]\]\.\d+\.key$/,
  /#limits\.#\w+\.(?:#buckets\.)?\[\[Entries\]\]\.\d+\.key$/,
  /^#links\.\[\[Entries\]\]\.\d+\.value\.neighbour\.publicKey$/,
  // Calls to next hops that are under way, and for whom.
  /^#places\.#calls\.\[\[Entries\]\]\.\d+\.(?:key|value\.neighbour)$/,
  // Who asked for a circuit, here or where it is being extended.
  /circuits\.\[\[Entries\]\]\.\d+\.value\.source\.key$/,
  /#connecting\.\[\[Entries\]\]\.\d+\.value\.circuit\.source\.key$/
]

/** Cells that wait for a neighbour ask it by its name; so does an EXTEND as long as the circuit is being extended, and no longer. */
function isOfNeighbour(path: string, { circuits, whole }: RelayDump): boolean {
  if (ofNeighbours.some((allowed) => allowed.test(path)) || /queues\..*\.cells\.\d+\.body$/.test(path)) return true
  const [, entry] = /^(.*#connecting\.\[\[Entries\]\]\.\d+)\.value\.request$/.exec(path) ?? []
  const token = whole.find((leaf) => leaf.path === `${entry}.key`)?.value
  return circuits.some((leaves) => leaves.some((leaf) => leaf.path === 'stage.token' && leaf.value === token))
}

/** Events of the mesh, not of circuits: they name whoever is connected. */
const ofMesh = /^\{"level":"\w+","event":"(?:peer|gossip|libp2p|cards?|nat|reach|relay|onion\.(?:directory|descriptor)[\w-]*)\b/

/** The fields of one circuit at one relay. */
class CircuitView {
  readonly leaves: readonly Leaf[]

  constructor(leaves: readonly Leaf[]) {
    this.leaves = leaves
  }

  field(path: string): string | undefined {
    return this.leaves.find((leaf) => leaf.path === path)?.value
  }

  /** Its number on the link that it came over. */
  get back(): number {
    return Number(this.field('back.circuit'))
  }

  get next(): number | undefined {
    const number = this.field('stage.next.circuit')
    return number === undefined ? undefined : Number(number)
  }
}

/** A member of the path with what it holds, and the circuit that is looked at. */
interface Member {
  readonly identity: Identity
  readonly dump: RelayDump
  readonly circuit: CircuitView
}

/** What no single one of them can do: follows the numbers of the links from one to the next. */
function follow(start: number, dumps: readonly (readonly [Identity, RelayDump])[]): readonly Member[] {
  const members: Member[] = []
  let number: number | undefined = start
  for (const [identity, dump] of dumps) {
    const found = dump.circuits.map((each) => new CircuitView(each)).find(({ back }) => back === number)
    if (found === undefined) break
    members.push({ identity, dump, circuit: found })
    number = found.next
  }
  return members
}

describe('eight nodes in processes of their own', { skip: needsLinux }, () => {
  const nodes: OnionNode[] = []
  let identities: readonly Identity[] = []
  const everybody = (): readonly Identity[] => identities
  const known = (peerId: string): Identity => identities.find(({ node }) => node.peerId === peerId) ?? assert.fail(`${peerId} is nobody`)
  const [senderNode, receiverNode] = [(): OnionNode => nodes[0] ?? assert.fail(), (): OnionNode => nodes[5] ?? assert.fail()]

  before(async () => {
    const program = await bundleChild(fileURLToPath(new URL('../..', import.meta.url)), base, 'onion-node-child')
    const start = (index: number): Promise<OnionNode> =>
      OnionNode.start(program, join(base, String(index)), { name: `node-${index}`, bootstrap: nodes[0]?.address ?? '' })
    nodes.push(await start(0))
    nodes.push(...(await Promise.all(Array.from({ length: count - 1 }, (_, index) => start(index + 1)))))
    identities = nodes.map(identityOf)
    await senderNode().call('join', { invite: await receiverNode().call('invite'), alias: 'receiver' })
    await until(
      async () => (await Promise.all(nodes.map((node) => node.call('report')))).every(({ relays }) => relays === count - 1),
      'everybody knows all relays',
      30_000
    )
  })
  after(async () => {
    await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]()))
    rmSync(base, { recursive: true, force: true })
  })

  for (const hops of [3, 5])
    test(`a circuit of ${hops} relays in use: no relay has more than its two neighbours of it, and nothing of what it carries`, async (t) => {
      const [sender, receiver] = [senderNode(), receiverNode()]
      const canary = `canary-${hops}-${randomBytes(12).toString('hex')}`
      const { path } = await sender.call('circuit', { peer: 'receiver', hops })
      assert.ok(path.length >= hops && path.length <= hops + 1, `${path.length} relays`)
      const relays = path.map(known)
      const sent = [await sender.call('send', { peer: 'receiver', text: canary })]
      assert.deepEqual([sent[0]?.status, sent[0]?.path], ['stored', 'onion'])

      const own = await sender.call('own')
      const members = [...relays, known(receiver.peerId)]
      const dumps: (readonly [Identity, RelayDump])[] = []
      for (const identity of members) {
        dumps.push([identity, await identity.node.call('dump')])
        sent.push(await sender.call('send', { peer: 'receiver', text: `${canary} while it is in use` }))
      }
      const chains = own.map((number) => ({ number, chain: follow(number, dumps) })).filter(({ chain }) => chain.length === members.length)
      const [found] = chains
      assert.ok(found !== undefined && chains.length === 1, 'all relays together know the path')
      const { number, chain } = found
      assert.equal(chain.at(-1)?.circuit.field('stage.is'), 'open')
      const numbers = [number, ...chain.flatMap(({ circuit }) => circuit.next ?? [])]
      assert.equal(new Set(numbers).size, numbers.length, 'each link has a number of its own')
      for (const index of chain.keys()) checkRecord(chain, index, { sender: known(sender.peerId), numbers, everybody: everybody() })

      const ids = [sent[0]?.id ?? assert.fail(), sent.at(-1)?.id ?? assert.fail()]
      const secrets = new Map([canary, ...ids].map((text) => [text, Buffer.from(text)]))
      secrets.set('what was said, in UTF-16', Buffer.from(canary, 'utf16le'))
      for (const [index, { identity }] of chain.slice(0, -1).entries()) {
        await sender.call('send', { peer: 'receiver', text: `${canary} once more` })
        checkMemory(chain, index, secrets)
        checkFiles(identity, [...secrets.values()])
        checkWords(identity, { everybody: everybody(), numbers, metrics: (await identity.node.call('report')).metrics })
      }
      // Whoever looks like this does see what is there.
      for (const node of [sender, receiver]) {
        assert.ok((memoryOf(node, secrets).get(canary) ?? 0) > 0, 'the ends hold what was said')
        assert.ok(node.files().some((file) => file.includes(canary)))
      }
      const last = await sender.call('send', { peer: 'receiver', text: `${canary} at the end` })
      assert.deepEqual([last.status, last.path], ['stored', 'onion'])
      const { arrived } = await receiver.call('report')
      for (const { id } of [...sent, last])
        assert.ok(
          arrived.some((line) => line.startsWith(id)),
          `${id} arrived`
        )
      t.diagnostic(`${path.length} relays`)
    })
})

interface Known {
  readonly sender: Identity
  readonly numbers: readonly number[]
  readonly everybody: readonly Identity[]
}

/** What one member's machine holds: of the circuit its two neighbours, of other links of it nothing. */
function checkRecord(chain: readonly Member[], index: number, { sender, numbers, everybody }: Known): void {
  const member = chain[index] ?? assert.fail()
  const { circuit, dump, identity } = member
  const place = `member ${index + 1} of ${chain.length}`
  const others = everybody.filter((each) => each !== identity)
  const namedBy = (leaves: readonly Leaf[]): readonly Identity[] => others.filter((other) => leaves.some((leaf) => holds(other, leaf)))
  const linkOf = (path: string): readonly Leaf[] => {
    const id = circuit.field(path)
    const link = dump.links.find((leaves) => leaves.some((leaf) => leaf.path === 'id' && leaf.value === id))
    return link?.filter((leaf) => !leaf.path.startsWith('circuits.')) ?? []
  }
  const [before, behind] = [chain[index - 1]?.identity, chain[index + 1]?.identity]
  // Whose descriptor had not come yet when he asked is a stranger in the record.
  const isWithin = (named: readonly Identity[], neighbour: Identity | undefined): boolean => named.every((each) => each === neighbour)
  assert.ok(isWithin(namedBy(circuit.leaves), before), `${place}: the record of the circuit`)
  assert.ok(isWithin(namedBy(linkOf('back.link')), before), `${place}: the link that it came over`)
  assert.deepEqual(namedBy(linkOf('stage.next.link')), behind === undefined ? [] : [behind], `${place}: the link that it goes on over`)
  if (before === undefined) assert.equal(circuit.field('source.kind'), 'client', `${place}: who asked for it`)
  // The first relay has a link from an address, and no key of the mesh with it.
  if (before === undefined) assert.ok(!linkOf('back.link').some((leaf) => holds(sender, leaf)), `${place}: the sender`)
  // Whoever is named in the machine is named as a neighbour.
  for (const leaf of dump.whole)
    if (others.some((other) => holds(other, leaf))) assert.ok(isOfNeighbour(leaf.path, dump), `${place} names somebody at ${leaf.path}`)
  // Links are called from keys that nobody knows, by the sender as by relays.
  assert.ok(!everybody.some(({ node }) => node.peerId === callerOf(member, 'back.link')), `${place}: the link that it came over`)
  if (behind !== undefined) assert.equal(callerOf(member, 'stage.next.link'), behind.node.peerId, `${place}: the link that it goes on over`)
  const foreign = numbers.filter((_, link) => link !== index && link !== index + 1).map(String)
  for (const { kind, path, value } of dump.whole)
    assert.ok(kind !== 'number' || !foreign.includes(value), `${place} knows the number of a link that is not its own, at ${path}`)
}

/** The peer id at the other end of one of the circuit's links. */
const callerOf = ({ circuit, dump }: Member, path: string): string =>
  dump.callers.find(({ id }) => String(id) === circuit.field(path))?.peerId ?? assert.fail(`no connection for ${path}`)

/** Bytes of a relay's whole memory: nothing of the content, of the layers its own keys alone, and the key from which the sender calls at the first relay alone. */
function checkMemory(chain: readonly Member[], index: number, secrets: ReadonlyMap<string, Buffer>): void {
  const member = chain[index] ?? assert.fail()
  const keys = new Map(
    chain.map(({ circuit }, at) => [`the keys of member ${at + 1}`, Buffer.from(circuit.field('layers.forward.#keys') ?? '', 'hex')])
  )
  for (const [at, key] of keys) assert.equal(key.length, 128, at)
  const caller = callerOf(chain[0] ?? assert.fail(), 'back.link')
  const called = new Map([
    ['the key that the sender calls from', Buffer.from(keyOf(caller))],
    ['the peer id that the sender calls from', Buffer.from(caller)]
  ])
  const found = memoryOf(member.identity.node, new Map([...secrets, ...keys, ...called]))
  const own = [`the keys of member ${index + 1}`, ...(index === 0 ? called.keys() : [])]
  for (const name of own) assert.ok((found.get(name) ?? 0) > 0, `${name}: not in the memory of member ${index + 1}`)
  const wrong = [...found].filter(([name, times]) => times > 0 && !own.includes(name)).map(([name]) => name)
  assert.deepEqual(wrong, [], `in the memory of member ${index + 1}`)
}

function memoryOf(node: OnionNode, patterns: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, number> {
  node.halt(true)
  try {
    const { found, bytes } = searchMemory(node.pid, patterns)
    assert.ok(bytes > 50_000_000, `${bytes} bytes of memory`)
    return found
  } finally {
    node.halt(false)
  }
}

function checkFiles({ node }: Identity, secrets: readonly Buffer[]): void {
  const files = node.files()
  assert.ok(files.length > 3)
  for (const file of files) for (const secret of secrets) assert.ok(!file.includes(secret), 'a file of a relay holds the content')
}

/** Logs at every level, what came out of the process, and metrics. */
function checkWords(identity: Identity, { everybody, numbers, metrics }: Omit<Known, 'sender'> & { readonly metrics: string }): void {
  const others = everybody.filter((each) => each !== identity)
  const { lines } = identity.node
  assert.ok(
    ['info', 'debug'].every((level) => lines.some((line) => line.startsWith(`{"level":"${level}"`))),
    `it logs at every level: ${lines.length} lines`
  )
  for (const line of lines) {
    const named = others.filter((other) => names(other, line))
    assert.ok(named.length <= 1, `a line names two members: ${line}`)
    assert.ok(named.length === 0 || ofMesh.test(line), `a line of circuits names a member: ${line}`)
    for (const number of numbers)
      assert.ok(!line.includes(String(number)) && !line.includes(number.toString(16).padStart(8, '0')), `a line has the number of a circuit: ${line}`)
  }
  for (const each of everybody) assert.ok(!names(each, metrics), 'metrics name nobody')
}
