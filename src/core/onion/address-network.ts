import { ipBytes } from '../base/ip-scope.ts'
import { toHex } from '../base/index.ts'

/** The host of a multiaddr that begins with an IP address; of a place at a circuit relay the relay's. */
const host = /^\/ip[46]\/([^/]+)\//

/** The network of an address as paths tell them apart, /16 of IPv4 or /32 of IPv6 (rule O6), as text; undefined when it has no IP address. */
export function addressNetwork(multiaddr: string): string | undefined {
  const bytes = ipBytes(host.exec(multiaddr)?.[1] ?? '')
  if (bytes === undefined) return undefined
  return bytes.length === 4 ? `4:${toHex(bytes.subarray(0, 2))}` : `6:${toHex(bytes.subarray(0, 4))}`
}

/** The networks of several addresses, each once. */
export const addressNetworks = (multiaddrs: readonly string[]): readonly string[] => [
  ...new Set(multiaddrs.flatMap((each) => addressNetwork(each) ?? []))
]
