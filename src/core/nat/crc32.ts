const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})

/** The CRC-32 of ITU V.42 (polynomial 0x04c11db7, reflected), as FINGERPRINT has it. */
export function crc32(...parts: readonly Uint8Array[]): number {
  let value = 0xffffffff
  for (const part of parts) for (const byte of part) value = (value >>> 8) ^ (table[(value ^ byte) & 255] ?? 0)
  return (value ^ 0xffffffff) >>> 0
}
