/**
 * How far an IP address reaches. `special`: no host can be called there (unspecified, multicast, broadcast, documentation, reserved).
 * `private`: one network only, the shared space of carriers (RFC 6598) among it.
 */
export type IpScope = 'loopback' | 'link-local' | 'private' | 'special' | 'public'

type Rule = readonly [prefix: readonly number[], bits: number, scope: IpScope]

// IANA IPv4 Special-Purpose Address Registry (RFC 6890), and multicast.
const rules4: readonly Rule[] = [
  [[0], 8, 'special'],
  [[10], 8, 'private'],
  [[100, 64], 10, 'private'],
  [[127], 8, 'loopback'],
  [[169, 254], 16, 'link-local'],
  [[172, 16], 12, 'private'],
  [[192, 0, 0], 24, 'special'],
  [[192, 0, 2], 24, 'special'],
  [[192, 88, 99], 24, 'special'],
  [[192, 168], 16, 'private'],
  [[198, 18], 15, 'special'],
  [[198, 51, 100], 24, 'special'],
  [[203, 0, 113], 24, 'special'],
  [[224], 3, 'special']
]

// IANA IPv6 Special-Purpose Address Registry. Only 2000::/3 is global unicast; tunnels (Teredo, 6to4) lead to IPv4 addresses that nobody checked.
const rules6: readonly Rule[] = [
  [[0xfc], 7, 'private'],
  [[0xfe, 0x80], 10, 'link-local'],
  [[0x20, 0x01, 0, 0], 23, 'special'],
  [[0x20, 0x01, 0x0d, 0xb8], 32, 'special'],
  [[0x20, 0x02], 16, 'special'],
  [[0x3f, 0xff], 20, 'special'],
  [[0x20], 3, 'public']
]

/** The bytes of an IP address, 4 or 16; undefined when the text is none in its plain form: zones, octal and shortened IPv4 are none. */
export function ipBytes(text: string): Uint8Array | undefined {
  return text.includes(':') ? ip6Bytes(text) : ip4Bytes(text)
}

/** How far `text` reaches; undefined when it is no IP address. An IPv4 address written as IPv6 (RFC 4291 section 2.5.5.2) is what it maps to. */
export function ipScope(text: string): IpScope | undefined {
  const bytes = ipBytes(text)
  return bytes === undefined ? undefined : scopeOf(bytes)
}

/**
 * Whether two addresses are of one host, as far as an address tells: the same one, or of IPv6 the same /64 within which hosts change theirs (RFC 8981).
 * Loopback, IPv4 written as IPv6 and link-local addresses have no such /64: all are in one.
 */
export function isSameHost(a: string, b: string): boolean {
  const left = ipBytes(a)
  const right = ipBytes(b)
  if (left === undefined || right === undefined || left.length !== right.length) return false
  const length = left.length === 16 && [left, right].every(isOfSubnet) ? 8 : left.length
  return left.subarray(0, length).every((byte, index) => byte === right[index])
}

/** Global unicast (2000::/3) and unique local addresses (fc00::/7): a host has a /64 of them. */
const isOfSubnet = ([first = 0]: Uint8Array): boolean => first >> 5 === 1 || first >> 1 === 0x7e

function scopeOf(bytes: Uint8Array): IpScope {
  if (bytes.length === 4) return rules4.find((rule) => matches(bytes, rule))?.[2] ?? 'public'
  if (isMapped4(bytes)) return scopeOf(bytes.subarray(12))
  if (bytes.subarray(0, 15).every((byte) => byte === 0)) return bytes[15] === 1 ? 'loopback' : 'special'
  return rules6.find((rule) => matches(bytes, rule))?.[2] ?? 'special'
}

const isMapped4 = (bytes: Uint8Array): boolean => bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff

function matches(bytes: Uint8Array, [prefix, bits]: Rule): boolean {
  for (let bit = 0; bit < bits; bit++) {
    const at = bit >> 3
    const mask = 0x80 >> (bit & 7)
    if (((bytes[at] ?? 0) & mask) !== ((prefix[at] ?? 0) & mask)) return false
  }
  return true
}

function ip4Bytes(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return undefined
  return Uint8Array.from(parts, Number)
}

function ip6Bytes(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = groups(halves[0] ?? '', halves.length === 1)
  const tail = groups(halves[1] ?? '', true)
  if (head === undefined || tail === undefined) return undefined
  const missing = 16 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined
  const bytes = new Uint8Array(16)
  bytes.set(head, 0)
  bytes.set(tail, 16 - tail.length)
  return bytes
}

/** The bytes of groups of hex digits; the last of an address may be written as IPv4. */
function groups(text: string, isEnd: boolean): readonly number[] | undefined {
  if (text === '') return []
  const bytes: number[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    const four = isEnd && index === parts.length - 1 && part.includes('.') ? ip4Bytes(part) : undefined
    if (four !== undefined) bytes.push(...four)
    else if (/^[0-9a-f]{1,4}$/i.test(part)) bytes.push(Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255)
    else return undefined
  }
  return bytes.length <= 16 ? bytes : undefined
}
