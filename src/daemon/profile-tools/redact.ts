/** What a report gives in place of a peer id, an address or a name: the same for the same, within one report. */
export class Redactor {
  readonly #known = new Map<string, string>()
  readonly #counts = new Map<string, number>()
  readonly #names: readonly (readonly [string, string])[]

  /** @param names - texts that stand for somebody or a place, each with the kind that it is shown as */
  constructor(names: readonly (readonly [string, string])[]) {
    // The longest first, so that none hides in another.
    this.#names = names.filter(([name]) => name.length > 1).toSorted(([one], [other]) => other.length - one.length)
  }

  /** Any JSON without what must not leave the machine. */
  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value)
    if (Array.isArray(value)) return value.map((each: unknown) => this.value(each))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [this.text(key), isSecretName(key) ? hidden(each) : this.value(each)]))
  }

  text(text: string): string {
    let shown = text
    for (const [name, kind] of this.#names) shown = withoutName(shown, name, () => this.#alias(kind, name))
    for (const [pattern, kind] of patterns) shown = shown.replace(pattern, (match) => this.#alias(kind, match))
    return shown
  }

  #alias(kind: string, text: string): string {
    if (kind.startsWith('~')) return kind
    if (everywhere.has(text)) return text
    const known = this.#known.get(`${kind} ${text}`)
    if (known !== undefined) return known
    const number = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, number)
    const alias = `[${kind}-${number}]`
    this.#known.set(`${kind} ${text}`, alias)
    return alias
  }
}

/** `text` with `name` replaced where it stands for itself, not in the middle of a word. Names are a peer's word: no expression is made of them. */
function withoutName(text: string, name: string, alias: () => string): string {
  let shown = ''
  let from = 0
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + name.length)) {
    if (isWordCharacter(text[at - 1]) || isWordCharacter(text[at + name.length])) continue
    shown += text.slice(from, at) + alias()
    from = at + name.length
  }
  return shown + text.slice(from)
}

const isWordCharacter = (character: string | undefined): boolean => character !== undefined && /[\p{L}\p{N}]/u.test(character)

/** Addresses that every machine has. */
const everywhere: ReadonlySet<string> = new Set(['127.0.0.1', '0.0.0.0', '::', '::1'])

const octet = '(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)'

/** In this order: what is longer comes first. */
const patterns: readonly (readonly [RegExp, string])[] = [
  // Invites, tokens, keys and digests: long runs of one alphabet.
  [/\bsmi1[A-Za-z0-9_-]{20,}/g, 'invite'],
  [/\b(?:12D3KooW[1-9A-HJ-NP-Za-km-z]{44}|Qm[1-9A-HJ-NP-Za-km-z]{44})\b/g, 'peer'],
  [/…[1-9A-HJ-NP-Za-km-z]{6,12}\b/g, 'peer'],
  [/\b[0-9a-fA-F]{32,}\b/g, 'hex'],
  [/\b[A-Za-z0-9+/_-]{40,}={0,2}/g, 'secret'],
  [/(?<=\/dns(?:4|6|addr)?\/)[^/\s"]+/g, 'host'],
  [/(?<=\b(?:stun|turn|turns|https?|wss?):(?:\/\/)?)(?!\[)[A-Za-z][A-Za-z0-9.-]*\.[A-Za-z0-9-]+/g, 'host'],
  [new RegExp(`(?<![\\d.])${octet}(?:\\.${octet}){3}(?![\\d.]\\d)`, 'g'), 'ip4'],
  // A time of day is none.
  [/(?<![0-9A-Za-z:.])(?!\d{1,2}:\d\d:\d\d(?![:0-9a-fA-F]))(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![0-9A-Za-z:])/g, 'ip6'],
  [/\b(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b/g, 'mac']
]

const isSecretName = (key: string): boolean => /pass(?:word|phrase)$|secret|token|credential|^body$|^content$|^words$/i.test(key)
const hidden = (value: unknown): unknown => (value === '' || value === undefined || value === null ? value : '[hidden]')
