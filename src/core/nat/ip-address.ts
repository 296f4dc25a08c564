import { ipBytes, ipScope } from '../base/ip-scope.ts'

/** An IP address and a UDP port. The address is written as RFC 5952 has it, without brackets or zone; an IPv4 address never as IPv6. */
export interface Endpoint {
  readonly address: string
  /** 0 to 65,535. */
  readonly port: number
}

/** How far an address reaches: on this machine, on this network, everywhere; `none`: no host can be called at it, or it is no address. */
export type AddressScope = 'loopback' | 'private' | 'public' | 'none'

/** `ipScope` with fewer words, a zone (`%eth0`) left out: link-local and carriers' addresses are private. */
export function addressScope(address: string): AddressScope {
  const scope = ipScope(address.split('%')[0] ?? '')
  if (scope === 'loopback' || scope === 'public') return scope
  return scope === 'private' || scope === 'link-local' ? 'private' : 'none'
}

/** The text of 4 or 16 bytes (RFC 5952 section 4 for the latter); an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) is what it maps to. */
export function formatIp(bytes: Uint8Array): string {
  const own = unmapped(bytes)
  if (own.length === 4) return own.join('.')
  const groups = Array.from({ length: 8 }, (_, index) => ((own[2 * index] ?? 0) << 8) | (own[2 * index + 1] ?? 0))
  const { start, length } = longestZeros(groups)
  const text = (from: number, to: number): string => {
    const part = groups.slice(from, to)
    return part.map((group) => group.toString(16)).join(':')
  }
  return length < 2 ? text(0, 8) : `${text(0, start)}::${text(start + length, 8)}`
}

/** The 4 or 16 bytes of an address, a zone (`%eth0`) left out; undefined when it is none. */
export function parseIp(address: string): Uint8Array | undefined {
  const bytes = ipBytes(address.split('%')[0] ?? '')
  return bytes === undefined ? undefined : unmapped(bytes)
}

/** `address` in the one form in which addresses are compared; undefined when it is none. */
export function canonicalIp(address: string): string | undefined {
  const bytes = parseIp(address)
  return bytes === undefined ? undefined : formatIp(bytes)
}

/** The family of an address that is known to be one. */
export const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4)

/** Whether both are the same address and port. */
export const isSameEndpoint = (a: Endpoint, b: Endpoint): boolean => a.port === b.port && a.address === b.address

const mappedPrefix: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]

const unmapped = (bytes: Uint8Array): Uint8Array =>
  bytes.length === 16 && mappedPrefix.every((byte, index) => bytes[index] === byte) ? bytes.subarray(12) : bytes

/** The first of the longest runs of zeros. */
function longestZeros(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 }
  let start = 0
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start }
  }
  return best
}
