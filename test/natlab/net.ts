import assert from 'node:assert/strict'
import type { MeshConfig } from '../../src/node/index.ts'
import { Host } from './host.ts'
import { Lab, type LabOptions, type RelayHost, relayHosts, stunServer } from './lab.ts'

export const network = 'natlab'
const readyMs = 20_000

/** A relay of the laboratory and where it is dialled: TCP, and WebSocket on 443. */
export interface LabRelay {
  readonly host: Host
  readonly addresses: readonly string[]
}

/** A laboratory with relays and agents in it. */
export class LabNet implements AsyncDisposable {
  readonly lab: Lab
  readonly #hosts = new Map<string, Promise<Host>>()
  readonly #relays = new Map<RelayHost, LabRelay>()

  private constructor(lab: Lab) {
    this.lab = lab
  }

  static async up(options: LabOptions & { readonly relays?: readonly RelayHost[] } = {}): Promise<LabNet> {
    const net = new LabNet(await Lab.up(options))
    try {
      for (const name of options.relays ?? ['relay']) await net.startRelay(name)
      return net
    } catch (error) {
      await net.down()
      throw error
    }
  }

  /** The agent in a host; started when it is asked for first. */
  host(name: string): Promise<Host> {
    const started = this.#hosts.get(name) ?? Host.start(this.lab, name)
    this.#hosts.set(name, started)
    return started
  }

  /** A relay of ours for everybody, as `p2p relay serve --open` is. `stateFolder`: the same relay again. */
  async startRelay(name: RelayHost, stateFolder?: string): Promise<LabRelay> {
    const host = await this.host(name)
    const ip = relayHosts[name]
    const listenAddrs = [`/ip4/${ip}/tcp/9000`, `/ip4/${ip}/tcp/443/ws`]
    const config: MeshConfig = { name, network, mdns: false, listenAddrs, relayServe: true, relayOpen: true }
    const { peerId } = stateFolder === undefined ? await host.call('start', config) : await host.call('start', config, stateFolder)
    const relay = { host, addresses: listenAddrs.map((address) => `${address}/p2p/${peerId}`) }
    this.#relays.set(name, relay)
    return relay
  }

  relay(name: RelayHost = 'relay'): LabRelay {
    return this.#relays.get(name) ?? assert.fail(`${name} does not run`)
  }

  /** Ends a relay at once, as a power cut would. */
  async killRelay(name: RelayHost): Promise<void> {
    const { host } = this.relay(name)
    this.#hosts.delete(name)
    this.#relays.delete(name)
    await host.kill()
  }

  /** The configuration of a node that finds the relays and a STUN server, and decides everything else by itself. */
  config(name: string, more: MeshConfig = {}): MeshConfig {
    const relays = [...this.#relays.values()].flatMap(({ addresses }) => addresses)
    return { name, network, mdns: false, listenAddrs: ['/ip4/0.0.0.0/tcp/9000', '/ip6/::/tcp/9000'], relays, stunServers: [stunServer], ...more }
  }

  /** Starts a node, and resolves when it can be reached over a relay (or everywhere): to the address for that. */
  async start(name: string, more: MeshConfig = {}): Promise<{ readonly host: Host; readonly address: string }> {
    const host = await this.host(name)
    await host.call('start', this.config(name, more))
    return { host, address: await circuitAddress(host) }
  }

  async down(): Promise<void> {
    const hosts = await Promise.allSettled(this.#hosts.values())
    await Promise.all(hosts.map(async (each) => each.status === 'fulfilled' && (await each.value.end())))
    await this.lab.down()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down()
  }
}

/** Where a node is reached over a relay, as soon as it is. */
export async function circuitAddress(host: Host): Promise<string> {
  let found: string | undefined
  await poll(`${host.name} has a place at a relay`, readyMs, async () => {
    const { addresses } = await host.call('facts')
    found = addresses.find((address) => address.includes('/p2p-circuit'))
    return found !== undefined
  })
  return found ?? assert.fail()
}

/** Asks until it is so. */
export async function poll(what: string, timeoutMs: number, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await isSo())) {
    if (performance.now() > deadline) assert.fail(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
