import { inviteLimits } from '../core/peers/index.ts'

/**
 * Addresses for an invite, without /p2p: those that reach furthest first, then those over relays, then public ones that nobody has confirmed, of IPv6 one;
 * loopback only when there is nothing else.
 */
export function inviteAddresses(announced: readonly string[], unconfirmed: readonly string[] = []): readonly string[] {
  const bare = [...new Set(announced.map((address) => address.replace(/\/p2p\/[^/]+$/, '')))]
  const isLoopback = (address: string): boolean => address.startsWith('/ip4/127.') || address.startsWith('/ip6/::1/')
  const isLocal = (address: string): boolean =>
    /^\/ip4\/(10|192\.168|172\.(1[6-9]|2\d|3[01])|169\.254)\./.test(address) || /^\/ip6\/(fe80|f[cd])/.test(address)
  const others = bare.filter((address) => !isLoopback(address))
  if (others.length === 0 && unconfirmed.length === 0) return bare.slice(0, inviteLimits.addresses)
  const own = others.filter((address) => !isAtRelay(address))
  const atRelays = spread(others.filter(isAtRelay))
  const doubtful = [
    ...unconfirmed.filter((address) => address.startsWith('/ip4/')),
    ...unconfirmed.filter((address) => address.startsWith('/ip6/') && !address.endsWith('/ws')).slice(0, 1)
  ]
  return [...own.filter((address) => !isLocal(address)), ...atRelays, ...doubtful, ...own.filter(isLocal)].slice(0, inviteLimits.addresses)
}

const isAtRelay = (address: string): boolean => address.endsWith('/p2p-circuit')

/** Of each relay one address in turn, first those on port 443, which everybody may use. */
function spread(atRelays: readonly string[]): readonly string[] {
  const byRelay = Map.groupBy(atRelays, (address) => /\/p2p\/([^/]+)\/p2p-circuit$/.exec(address)?.[1] ?? '')
  const rows = [...byRelay.values()].map((addresses) =>
    addresses.toSorted((a, b) => Number(b.includes('/tcp/443/')) - Number(a.includes('/tcp/443/')))
  )
  const longest = Math.max(0, ...rows.map((row) => row.length))
  return Array.from({ length: longest }, (_, index) => rows.flatMap((row) => row[index] ?? [])).flat()
}
