import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { build, DaemonHost } from './daemon-host.ts'
import { Host } from './host.ts'
import { Lab, stunServer } from './lab.ts'
import { circuitAddress, network, poll } from './net.ts'

/** Public relays of circuits: `number` of their line, and the /16 network that they are in. The last two share one. */
export const hops = [
  { name: 'hop1', number: 31, network: 81 },
  { name: 'hop2', number: 32, network: 82 },
  { name: 'hop3', number: 33, network: 83 },
  { name: 'hop4', number: 34, network: 84 },
  { name: 'hop5', number: 35, network: 85 },
  { name: 'twin', number: 36, network: 85 }
] as const

/** Networks among them. */
export const networkCount = new Set(hops.map((hop) => hop.network)).size

/** What others see of hosts behind a NAT. */
export const natAddresses = { sym1: '11.77.17.2', port1: '11.77.15.2', port2: '11.77.16.2', sym2: '11.77.18.2' } as const
export type NatHost = keyof typeof natAddresses

/** Who sends to whom: the packets of each of these ways are counted, and those that leave the first. */
export const couples = [
  ['sym1', 'port2'],
  ['port1', 'sym2']
] as const satisfies readonly (readonly [NatHost, NatHost])[]

export interface OnionStatus {
  readonly peerId: string
  readonly addresses: readonly string[]
  readonly onion: { readonly role: string; readonly policy: string; readonly known: { readonly relays: number; readonly endpoints: number } }
}

/** A laboratory in which circuits run: a circuit relay, relays of circuits in several networks, and nodes behind NATs. */
export interface OnionSite {
  readonly lab: Lab
  /** `p2p relay serve`, which carries circuits of both kinds. */
  readonly relay: DaemonHost
  /** Daemons. */
  readonly sender: DaemonHost
  readonly destination: DaemonHost
  /** The same as nodes that stream messages. */
  readonly a: Host
  readonly b: Host
  /** Hosts by peer id. */
  readonly names: ReadonlyMap<string, string>
}

/** Brings all of it up. Resolves when everybody knows everybody. */
export async function bringUp(t: Pick<TestContext, 'after'>): Promise<OnionSite> {
  build()
  const lab = await Lab.up({
    sites: ['sym1:17:sym', 'port1:15:port', 'port2:16:port', 'sym2:18:sym'],
    publicHosts: ['relay:1', 'turn:2', ...hops.map(({ name, number, network: net }) => `${name}:${number}:${net}`)]
  })
  t.after(() => lab.down())
  await lab.meter(couples.flatMap(([one, other]) => [waysOf(one, other), waysOf(other, one), [natAddresses[one], 'all'] as const]))
  const daemon = (name: string): DaemonHost => {
    const host = new DaemonHost(lab, name)
    t.after(() => host[Symbol.asyncDispose]())
    return host
  }
  const relay = daemon('relay')
  await relay.init('--onion')
  await relay.p2p('stop')
  const { flags } = await relay.serveRelay('--open')
  const bootstrap = flags.slice(flags.indexOf('--bootstrap'))
  const relays = await Promise.all(hops.map(({ name }) => started(daemon(name), bootstrap)))
  const [sender, destination] = await Promise.all(['sym1', 'port2'].map((name) => started(daemon(name), [...flags, '--stun', stunServer])))
  assert.ok(sender !== undefined && destination !== undefined)
  const [a, b] = await Promise.all(['port1', 'sym2'].map((name) => agent(t, lab, { name, flags })))
  assert.ok(a !== undefined && b !== undefined)
  const names = new Map<string, string>()
  for (const host of [relay, ...relays, sender, destination]) names.set((await host.json<OnionStatus & Fields>('status')).peerId, host.name)
  const daemons = [relay, ...relays, sender, destination].map((host) => ({
    name: host.name,
    status: () => host.json<OnionStatus & Fields>('status')
  }))
  await allKnown([...[a, b].map((host) => ({ name: host.name, status: () => host.call('status') })), ...daemons])
  return { lab, relay, sender, destination, a, b, names }
}

interface Known {
  readonly name: string
  readonly status: () => Promise<OnionStatus>
}

type Fields = Readonly<Record<string, unknown>>

const waysOf = (from: NatHost, to: NatHost): readonly [string, string] => [natAddresses[from], natAddresses[to]]

async function started(host: DaemonHost, flags: readonly string[]): Promise<DaemonHost> {
  await host.init('--onion', ...flags)
  return host
}

async function agent(
  t: Pick<TestContext, 'after'>,
  lab: Lab,
  { name, flags }: { readonly name: string; readonly flags: readonly string[] }
): Promise<Host> {
  const host = await Host.start(lab, name)
  t.after(() => host.end())
  const of = (flag: string): readonly string[] => flags.filter((_, index) => flags[index - 1] === flag)
  await host.call('start', {
    ...{ name, network, mdns: false, onionRouting: true, stunServers: [stunServer] },
    listenAddrs: ['/ip4/0.0.0.0/tcp/9000'],
    relays: of('--relay'),
    bootstrapPeers: of('--bootstrap')
  })
  await circuitAddress(host)
  return host
}

/** Resolves when each node knows all the others, each in its role. */
async function allKnown(nodes: readonly Known[]): Promise<void> {
  const relays = hops.length + 1
  const endpoints = couples.length * 2
  for (const { name, status } of nodes) {
    let last: OnionStatus | undefined
    const isAll = async (): Promise<boolean> => {
      last = await status()
      const { role, known } = last.onion
      return known.relays === relays - (role === 'relay' ? 1 : 0) && known.endpoints === endpoints - (role === 'endpoint' ? 1 : 0)
    }
    await poll(`${name} knows all members of circuits`, 60_000, isAll).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(last?.onion)} ${last?.addresses.join(' ')}`, { cause: error })
    })
  }
}

/** Names of files below `folder` that contain an IPv4 address, as text or as four bytes of a multiaddr. */
export async function filesWith(folder: string, address: string): Promise<readonly string[]> {
  const binary = Buffer.from([4, ...address.split('.').map(Number)])
  const found: string[] = []
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const bytes = await readFile(join(entry.parentPath, entry.name))
    if (bytes.includes(address) || bytes.includes(binary)) found.push(entry.name)
  }
  return found
}
