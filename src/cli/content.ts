import { MeshError } from '../core/base/index.ts'
import { messageLimits } from '../core/message/types.ts'

/** Everything from standard input, as bytes. @throws {MeshError} BODY_TOO_LARGE as soon as it has too many. */
export async function readStdin(stdin: AsyncIterable<Buffer | string>, maxBytes: number = messageLimits.bodyBytes): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stdin) {
    const buffer = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    bytes += buffer.length
    if (bytes > maxBytes) throw new MeshError('BODY_TOO_LARGE', { bytes: `more than ${maxBytes}`, max: maxBytes })
    chunks.push(buffer)
  }
  return Buffer.concat(chunks)
}

/** Bytes as the control API takes them: text where they are UTF-8, else base64. */
export function contentInput(bytes: Buffer): { readonly content: string; readonly encoding: 'utf8' | 'base64' } {
  try {
    return { content: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), encoding: 'utf8' }
  } catch {
    return { content: bytes.toString('base64'), encoding: 'base64' }
  }
}
