import type { Random } from '../../src/core/base/index.ts'
import { hostileTexts } from '../core/base/hostile-text.ts'

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What this software makes or checks itself before it can be in an answer, by its field: ids from keys, names that a pattern holds. */
const ownTexts: ReadonlyMap<string, string> = new Map([
  ['peerId', '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'],
  ['source', '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'],
  ['profile', 'default'],
  ['network', 'main'],
  ['circuit', '3f9a0c1d'],
  ['invite', 'synaptic-invite-1-abc'],
  ['inviteId', '0011223344556677'],
  ['token', 'smt_AAAA'],
  ['option', 'max_peers'],
  ['publicKey', '00'.repeat(32)]
])

/** Makes values of a JSON schema in which every free text is hostile. */
export class HostileValues {
  readonly #random: Random
  readonly #definitions: Json
  readonly #schema: Json
  #texts = 0
  #depth = 0

  constructor(schema: Json, random: Random) {
    this.#schema = schema
    this.#random = random
    this.#definitions = isObject(schema['$defs']) ? schema['$defs'] : {}
  }

  next(): unknown {
    return this.#value(this.#schema)
  }

  #below(max: number): number {
    return ((this.#random.bytes(4).reduce((sum, byte) => sum * 256 + byte, 0) % max) + max) % max
  }

  #text(): string {
    // Each in turn, from another place for each value, so that every field meets every one of them.
    this.#texts += 1 + this.#below(3)
    return hostileTexts[this.#texts % hostileTexts.length] ?? ''
  }

  #value(schema: Json): unknown {
    if ('const' in schema) return schema['const']
    if (Array.isArray(schema['enum'])) return schema['enum'][this.#below(schema['enum'].length)]
    const choices = schema['anyOf'] ?? schema['oneOf']
    if (Array.isArray(choices)) return this.#value(choices[this.#below(choices.length)] as Json)
    const reference = schema['$ref']
    if (typeof reference === 'string') return this.#value((this.#definitions[reference.split('/').at(-1) ?? ''] ?? {}) as Json)
    switch (schema['type']) {
      case 'object':
        return this.#object(schema)
      case 'array':
        return this.#array(schema)
      case 'string':
        return this.#text()
      case 'integer':
      case 'number':
        return this.#number(schema)
      case 'boolean':
        return this.#below(2) === 1
      case 'null':
        return null
      default:
        return this.#depth > 4 ? 1 : this.#text()
    }
  }

  #object(schema: Json): Json {
    this.#depth++
    const properties = isObject(schema['properties']) ? schema['properties'] : {}
    const required: readonly unknown[] = Array.isArray(schema['required']) ? schema['required'] : []
    const entries = Object.entries(properties)
      .filter(([name]) => required.includes(name) || this.#below(4) > 0)
      .map(([name, each]) => [name, ownTexts.get(name) ?? this.#value(each as Json)] as const)
    const more = isObject(schema['additionalProperties']) && this.#depth < 8 ? schema['additionalProperties'] : undefined
    const others = more === undefined ? [] : [0, 1].map(() => [`k${this.#text()}`, this.#value(more)] as const)
    this.#depth--
    return Object.fromEntries([...entries, ...others])
  }

  #array(schema: Json): readonly unknown[] {
    this.#depth++
    const least = typeof schema['minItems'] === 'number' ? schema['minItems'] : 0
    const most = typeof schema['maxItems'] === 'number' ? schema['maxItems'] : 3
    const count = Math.max(least, Math.min(most, this.#below(4)))
    const items = isObject(schema['items']) ? schema['items'] : {}
    const values = Array.from({ length: count }, () => this.#value(items))
    this.#depth--
    return values
  }

  #number(schema: Json): number {
    const least = typeof schema['minimum'] === 'number' ? Math.max(schema['minimum'], -1e15) : -1
    const most = typeof schema['maximum'] === 'number' ? Math.min(schema['maximum'], 1e15) : 1e15
    const picks = [least, most, 0, 1, 1_795_000_000_000].filter((value) => value >= least && value <= most)
    return picks[this.#below(picks.length)] ?? least
  }
}
