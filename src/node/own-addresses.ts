import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import type { InternalPort, OwnAddress, OwnAddressPort } from '../mesh/mapping-ports.ts'

/** What is used of libp2p's address manager. */
interface AddressManager {
  getAddressesWithMetadata(): readonly { readonly multiaddr: Multiaddr; readonly verified: boolean; readonly type: string }[]
  confirmObservedAddr(address: Multiaddr, options: { readonly type: 'transport' | 'ip-mapping'; readonly ttl: number }): void
  removeObservedAddr(address: Multiaddr): void
  addPublicAddressMapping(internalIp: string, internalPort: number, externalIp: string, externalPort: number, protocol: 'tcp'): void
  removePublicAddressMapping(internalIp: string, internalPort: number, externalIp: string, externalPort: number, protocol: 'tcp'): void
}

/** Where a node listens and what was mapped: what others say that they see of this node is no address to be called at. */
const kinds: readonly string[] = ['transport', 'ip-mapping', 'announce']
/** Nothing here asks libp2p when an address was verified. */
const forEverMs = 1e12

/** A libp2p service: this node's addresses. libp2p announces a public one only when it was verified, by four peers or by us. */
export class OwnAddresses implements OwnAddressPort {
  readonly #manager: AddressManager

  constructor({ addressManager }: { readonly addressManager: AddressManager }) {
    this.#manager = addressManager
  }

  list(): readonly OwnAddress[] {
    const found = new Map<string, OwnAddress>()
    for (const { multiaddr: address, verified, type } of this.#manager.getAddressesWithMetadata()) {
      const text = address.toString().replace(/\/p2p\/[^/]+$/, '')
      if (!kinds.includes(type) || text.includes('/p2p-circuit')) continue
      found.set(text, { address: text, isVerified: verified || found.get(text)?.isVerified === true })
    }
    return [...found.values()]
  }

  confirm(address: string): void {
    const type = this.#isMapped(address) ? 'ip-mapping' : 'transport'
    this.#manager.confirmObservedAddr(multiaddr(address), { type, ttl: forEverMs })
  }

  doubt(address: string): void {
    this.#manager.removeObservedAddr(multiaddr(address))
  }

  addMapping(internal: InternalPort, external: InternalPort): void {
    this.#manager.addPublicAddressMapping(internal.address, internal.port, external.address, external.port, 'tcp')
  }

  removeMapping(internal: InternalPort, external: InternalPort): void {
    this.#manager.removePublicAddressMapping(internal.address, internal.port, external.address, external.port, 'tcp')
  }

  #isMapped(address: string): boolean {
    return this.#manager.getAddressesWithMetadata().some(({ multiaddr: each, type }) => type === 'ip-mapping' && each.toString() === address)
  }
}
