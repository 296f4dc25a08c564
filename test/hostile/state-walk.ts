import { Session } from 'node:inspector'

/** A value at the end of a way through the fields of an object. `bytes` is the hex of the whole memory that a view is of. */
export interface Leaf {
  /** The names of the fields on the way, private ones with their #; entries of maps, captured variables of functions and elements count as well. */
  readonly path: string
  readonly kind: 'text' | 'number' | 'bytes'
  readonly value: string
}

/** An object of some class, and whatever is reachable from it. */
export interface Walked {
  readonly path: string
  readonly leaves: readonly Leaf[]
}

/** A value of this process as the debugger has it. */
export interface Inspected {
  readonly type: string
  readonly subtype?: string
  readonly className?: string
  readonly value?: unknown
  readonly unserializableValue?: string
  readonly description?: string
  readonly objectId?: string
}

interface Property {
  readonly name: string
  readonly value?: Inspected
  readonly symbol?: Inspected
}

/** Internal fields that are followed: what containers hold, what functions captured, what promises came to. */
const followed = new Set(['[[Entries]]', '[[Scopes]]', '[[BoundThis]]', '[[BoundArgs]]', '[[TargetFunction]]', '[[PromiseResult]]', '[[Target]]'])
/** Scopes that are the program's own, not a call's. */
const shared = /^(?:Global|Module|Script)/
const maxObjects = 20_000
const seenName = 'synapticMeshStateWalkSeen'

/**
 * Looks at objects of this process as a debugger does: private fields, entries of maps and sets, variables that functions captured.
 * `stop`: classes at whose instances it turns back, since they are of the node and not of what is looked at.
 */
export class StateWalk implements Disposable {
  readonly #session = new Session()
  readonly #stop: ReadonlySet<string>

  constructor(stop: readonly string[]) {
    this.#stop = new Set(stop)
    this.#session.connect()
  }

  [Symbol.dispose](): void {
    this.#session.disconnect()
  }

  /** An object of this process, to begin with. */
  inspect(object: object): Inspected {
    Reflect.set(globalThis, seenName, object)
    return this.#post<{ readonly result: Inspected }>('Runtime.evaluate', { expression: `globalThis.${seenName}` }).result
  }

  /** What is at the end of a way of field names from an object; undefined when there is no such way. */
  at(from: Inspected, ...names: readonly string[]): Inspected | undefined {
    let found: Inspected | undefined = from
    for (const name of names) found = found && this.#properties(found).find((property) => property.name === name)?.value
    return found
  }

  /** The values of a Map. */
  values(map: Inspected): readonly Inspected[] {
    const entries = this.at(map, '[[Entries]]')
    return (entries === undefined ? [] : this.#properties(entries)).flatMap(({ value }) => (value && this.at(value, 'value')) ?? [])
  }

  /** Everything that is reachable from an object. */
  walk(root: Inspected): readonly Leaf[] {
    this.#session.post('Runtime.evaluate', { expression: `globalThis.${seenName} = new WeakSet()` })
    const leaves: Leaf[] = []
    const queue: { readonly object: Inspected; readonly path: string }[] = [{ object: root, path: '' }]
    let objects = 0
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      if (++objects > maxObjects) break
      if (objects > maxObjects) throw new RangeError(`more than ${maxObjects} objects are reachable; the last one at ${next.path}`)
      for (const { name, value } of this.#own(next.object)) {
        if (value === undefined) continue
        const path = next.path === '' ? name : `${next.path}.${name}`
        const leaf = this.#leaf(path, value)
        if (leaf !== undefined) leaves.push(leaf)
        else if (value.objectId !== undefined && value.subtype !== 'typedarray' && this.#isNew(value)) queue.push({ object: value, path })
      }
    }
    return leaves
  }

  #leaf(path: string, value: Inspected): Leaf | undefined {
    if (value.type === 'string') return { path, kind: 'text', value: String(value.value) }
    if (value.type === 'number' || value.type === 'bigint')
      return { path, kind: 'number', value: JSON.stringify(value.value) ?? value.unserializableValue ?? '' }
    if (value.type === 'symbol') return { path, kind: 'text', value: value.description ?? '' }
    if (value.subtype !== 'typedarray' && value.subtype !== 'arraybuffer' && value.subtype !== 'dataview') return undefined
    return { path, kind: 'bytes', value: String(this.#call(value, hexOfMemory)) }
  }

  /** Own fields, and names that are data themselves (keys of maps come as values). */
  #own(object: Inspected): readonly Property[] {
    return this.#properties(object).flatMap((property) => {
      const key: Property = { name: `(name)`, value: { type: 'string', value: property.name } }
      return property.name.length > 20 ? [key, property] : [property]
    })
  }

  #isNew(value: Inspected): boolean {
    const name = (value.className ?? '').replace(/^_+/, '').replace(/\d+$/, '')
    if (this.#stop.has(name) || shared.test(value.description ?? '')) return false
    // Scopes and lists of entries are no objects of the program: they cannot be remembered, and need not be.
    return (
      this.#call(value, `function () { const seen = globalThis.${seenName}; const isNew = !seen.has(this); seen.add(this); return isNew }`) !== false
    )
  }

  #properties(object: Inspected): readonly Property[] {
    if (object.objectId === undefined) return []
    const found = this.#post<{
      readonly result?: readonly Property[]
      readonly privateProperties?: readonly Property[]
      readonly internalProperties?: readonly Property[]
    }>('Runtime.getProperties', { objectId: object.objectId, ownProperties: true })
    const internal = (found.internalProperties ?? []).filter(({ name }) => followed.has(name))
    const own = (found.result ?? []).filter(({ name }) => name !== '__proto__')
    return [...own, ...(found.privateProperties ?? []), ...internal]
  }

  #call(object: Inspected, functionDeclaration: string): unknown {
    const { result } = this.#post<{ readonly result: Inspected }>('Runtime.callFunctionOn', {
      objectId: object.objectId,
      functionDeclaration,
      returnByValue: true
    })
    return result.value
  }

  /** On a session of the thread itself the answer comes within the call. */
  #post<Answer>(method: string, parameters: object): Answer {
    let answer: Answer | undefined
    let failed: unknown
    this.#session.post(method, parameters, (error, result) => {
      failed = error
      answer = result as Answer
    })
    if (answer === undefined || failed !== null) throw new Error(`${method}: ${JSON.stringify(failed)}`)
    return answer
  }
}

const hexOfMemory = `function () {
  const memory = this instanceof ArrayBuffer || this instanceof SharedArrayBuffer ? this : this.buffer
  return Buffer.from(memory).toString('hex')
}`
