import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { BlockList } from 'node:net'
import { networkInterfaces } from 'node:os'
import { ipScope } from '../core/base/ip-scope.ts'
import type { InternalPort, MappedPort, PortMappingPort } from '../mesh/mapping-ports.ts'
import { askNatPmp } from './nat-pmp.ts'
import { gatewayInRoutes } from './route-table.ts'
import { findRouter, order, type UpnpSearch } from './upnp.ts'
import { upnpAdd, upnpAddressIn, upnpAskAddress, type UpnpControl, upnpDelete, upnpErrorIn } from './upnp-text.ts'

type Found = Awaited<ReturnType<PortMappingPort['map']>>

/** What was asked for, and how it is taken back; noted before the router answers, which may be too late for us. */
interface Made {
  readonly undo: (signal: AbortSignal) => Promise<unknown>
}

const leaseS = 3_600
const unmapMs = 2_000
/** Ports that are tried when ours is somebody else's outside. */
const otherPorts = 3
const highPorts = { from: 20_000, to: 60_000 } as const
const conflict = 718
const onlyPermanent = 725

/** How routers are found; the network's own ways by default. */
export interface RouterSearch {
  /** The default gateway, where NAT-PMP is asked; Linux shows its routing table, elsewhere only UPnP finds routers. */
  readonly gateway: () => string | undefined
  readonly findRouter: (search: UpnpSearch) => Promise<UpnpControl | undefined>
}

/** Opens ports in the router by UPnP, or by NAT-PMP where there is none. Sends nothing before `map` is called. */
export class RouterPorts implements PortMappingPort {
  readonly #made = new Map<string, Made>()
  readonly #search: RouterSearch
  #control: UpnpControl | undefined
  /** What is open now: it is asked for again, in the same way. */
  #kept: { readonly from: string; readonly protocol: MappedPort['protocol']; readonly externalPort: number } | undefined

  constructor(search: Partial<RouterSearch> = {}) {
    this.#search = { gateway: defaultGateway, findRouter, ...search }
  }

  nearRouter(addresses: readonly string[]): string | undefined {
    const gateway = this.#search.gateway()
    return gateway === undefined ? undefined : addresses.find((address) => isNearTo(address)(gateway))
  }

  async map(internal: InternalPort, signal: AbortSignal): Promise<Found> {
    if (this.#kept?.from !== internal.address) this.#kept = undefined
    const gateway = this.#search.gateway()
    const byKept = this.#kept?.protocol === 'nat-pmp' && gateway !== undefined ? await this.#mapByPmp(gateway, internal, signal) : undefined
    const found = byKept !== undefined && !('reason' in byKept) ? byKept : await this.#mapAnew(gateway, internal, signal)
    if ('reason' in found) this.#kept = undefined
    else this.#kept = { from: internal.address, protocol: found.protocol, externalPort: found.externalPort }
    return found
  }

  async unmapAll(): Promise<void> {
    const signal = AbortSignal.timeout(unmapMs)
    const undoing = [...this.#made.values()].map(({ undo }) => undo(signal).catch(() => undefined))
    this.#made.clear()
    await Promise.all(undoing)
  }

  async #mapAnew(gateway: string | undefined, internal: InternalPort, signal: AbortSignal): Promise<Found> {
    const known = this.#kept === undefined ? undefined : this.#control
    const search = { from: internal.address, gateway, isNear: isNearTo(internal.address), signal }
    // An interface that is gone meanwhile has no router.
    const at = known ?? (await this.#search.findRouter(search).catch(() => undefined))
    const byUpnp = at === undefined ? { reason: 'no router answers to UPnP' } : await this.#mapByUpnp(at, internal, signal)
    this.#control = 'reason' in byUpnp ? undefined : at
    if (!('reason' in byUpnp) || gateway === undefined || ipScope(gateway) === 'public' || signal.aborted) return byUpnp
    const byPmp = await this.#mapByPmp(gateway, internal, signal)
    return 'reason' in byPmp ? { reason: `${byUpnp.reason}; ${byPmp.reason}` } : byPmp
  }

  async #mapByUpnp(at: UpnpControl, internal: InternalPort, signal: AbortSignal): Promise<Found> {
    const from = { from: internal.address, signal }
    try {
      const externalAddress = upnpAddressIn((await order(at, upnpAskAddress(at.service), from)).text)
      if (externalAddress === undefined) return { reason: 'the router (UPnP) does not know its own address' }
      const ports = [this.#kept?.externalPort ?? internal.port, ...Array.from({ length: otherPorts }, () => randomInt(highPorts.from, highPorts.to))]
      let lifetimeS = leaseS
      for (let index = 0; index < ports.length;) {
        const externalPort = ports[index] ?? internal.port
        const key = `upnp ${at.url} ${externalPort}`
        const undo = (stop: AbortSignal): Promise<unknown> =>
          order(at, upnpDelete(at.service, externalPort), { from: internal.address, signal: stop })
        this.#made.set(key, { undo })
        const mapping = { externalPort, internalPort: internal.port, internalAddress: internal.address, lifetimeS }
        const { status, text } = await order(at, upnpAdd(at.service, mapping), from)
        if (status === 200) return { externalAddress, externalPort, protocol: 'upnp', leaseMs: leaseS * 1_000 }
        // Refused: it is not ours to take back.
        this.#made.delete(key)
        const code = upnpErrorIn(text)
        if (code === onlyPermanent && lifetimeS > 0) lifetimeS = 0
        else if (code === conflict) index += 1
        else return { reason: `the router (UPnP) refuses: error ${code === 0 ? `HTTP ${status}` : code}` }
      }
      return { reason: 'the router (UPnP) has no port left for us' }
    } catch {
      return { reason: 'the router (UPnP) does not answer' }
    }
  }

  async #mapByPmp(gateway: string, internal: InternalPort, signal: AbortSignal): Promise<Found> {
    const address = await askNatPmp(gateway, { kind: 'address' }, signal)
    if (address?.kind === 'refused') return { reason: `the router (NAT-PMP) refuses: ${address.reason}` }
    if (address?.kind !== 'address') return { reason: 'no router answers to NAT-PMP' }
    const request = { kind: 'map', internalPort: internal.port, externalPort: this.#kept?.externalPort ?? internal.port, lifetimeS: leaseS } as const
    const undo = (stop: AbortSignal): Promise<unknown> => askNatPmp(gateway, { ...request, externalPort: 0, lifetimeS: 0 }, stop)
    this.#made.set(`nat-pmp ${gateway} ${internal.port}`, { undo })
    const mapped = await askNatPmp(gateway, request, signal)
    if (mapped?.kind !== 'map') return { reason: `the router (NAT-PMP) refuses: ${mapped?.kind === 'refused' ? mapped.reason : 'no answer'}` }
    const { externalPort, lifetimeS } = mapped
    return { externalAddress: address.address, externalPort, protocol: 'nat-pmp', leaseMs: lifetimeS * 1_000 } satisfies MappedPort
  }
}

function defaultGateway(): string | undefined {
  try {
    return gatewayInRoutes(readFileSync('/proc/net/route', 'latin1'))
  } catch {
    // Not Linux: UPnP finds routers without it.
    return undefined
  }
}

/** Whether an address is in the network of the interface that has `own`. */
function isNearTo(own: string): (address: string) => boolean {
  const cidr = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ address }) => address === own)?.cidr
  const [network, bits] = cidr?.split('/') ?? []
  if (network === undefined || bits === undefined) return () => false
  const list = new BlockList()
  list.addSubnet(network, Number(bits), 'ipv4')
  return (address) => list.check(address, 'ipv4')
}
