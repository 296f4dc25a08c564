import { ipBytes } from '../../core/base/ip-scope.ts'
import { toHex } from '../../core/base/index.ts'

/** The network by which clients are limited: /24 of an IPv4 address, /48 of IPv6 (an IPv4 address written as IPv6 is IPv4); a name stands for itself. */
export function addressPrefix(host: string): string {
  const bytes = ipBytes(host)
  if (bytes === undefined) return host
  if (bytes.length === 4) return prefix4(bytes)
  if (bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff) return prefix4(bytes.subarray(12))
  const groups = [0, 2, 4].map((at) => Number.parseInt(toHex(bytes.subarray(at, at + 2)), 16).toString(16))
  return `${groups.join(':')}::/48`
}

const prefix4 = (bytes: Uint8Array): string => `${bytes.subarray(0, 3).join('.')}.0/24`
