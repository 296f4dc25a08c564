/** PKCS #8 (RFC 5958) of an expanded private key: the algorithm has no parameters, the key is an OCTET STRING in an OCTET STRING (RFC 9935, RFC 9881). */
export function pkcs8(algorithm: string, expandedKey: Uint8Array): Buffer {
  const inner = header(0x04, expandedKey.length)
  const outer = header(0x04, inner.length + expandedKey.length)
  const identifier = Buffer.from(algorithm, 'hex')
  const front = Buffer.concat([Buffer.from('020100', 'hex'), header(0x30, identifier.length), identifier, outer, inner])
  return Buffer.concat([header(0x30, front.length + expandedKey.length), front, expandedKey])
}

/** Tag and length (X.690 section 8.1.3) of up to 65,535 bytes. */
function header(tag: number, length: number): Buffer {
  return Buffer.from(length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255])
}

/** The same bytes as a Buffer, without a copy. */
export const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
