import type { IncomingMessage } from 'node:http'
import { MeshError } from '../core/base/index.ts'
import { type Command, checkInput, jsonType, parseField, type Route } from '../api/index.ts'

const defaultMaxBodyBytes = 65_536

/** The checked input of a request: the query of a GET, the JSON body of a POST. @throws {MeshError} BODY_TOO_LARGE, FORBIDDEN, USAGE, OPTION_INVALID, OPTION_UNKNOWN */
export async function readInput(request: IncomingMessage, operation: Command, route: Route): Promise<object> {
  const given = route.method === 'GET' ? readQuery(request, operation) : await readBody(request, route)
  const last = route.stream === 'events' ? request.headers['last-event-id'] : undefined
  // A reader that comes again says in the header where it stands, and has the query of its first request still.
  return checkInput(operation.fields, last === undefined ? given : { ...asObject(given), after: last })
}

const asObject = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {})

function readQuery(request: IncomingMessage, operation: Command): Record<string, unknown> {
  const query = new URL(request.url ?? '/', 'http://localhost').searchParams
  const given: Record<string, unknown> = Object.create(null)
  for (const [name, text] of query) {
    if (name in given) throw new MeshError('OPTION_INVALID', { path: name.slice(0, 80), value: 'given twice', allowed: 'given once' })
    const field = Object.hasOwn(operation.fields, name) ? operation.fields[name] : undefined
    if (field === undefined) throw new MeshError('OPTION_UNKNOWN', { path: name.slice(0, 80) })
    given[name] = parseField(field, text, { path: name, isSeconds: false })
  }
  return given
}

async function readBody(request: IncomingMessage, route: Route): Promise<unknown> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase()
  if (type !== jsonType) throw new MeshError('FORBIDDEN', { reason: `the content type must be ${jsonType}` })
  const max = route.maxBodyBytes ?? defaultMaxBodyBytes
  const declared = Number(request.headers['content-length'] ?? 0)
  if (declared > max) throw new MeshError('BODY_TOO_LARGE', { bytes: declared, max })
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > max) throw new MeshError('BODY_TOO_LARGE', { bytes, max })
    chunks.push(chunk)
  }
  return parseJson(Buffer.concat(chunks))
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new MeshError('USAGE', { problem: 'The body is not JSON in UTF-8' }, { cause })
  }
}
