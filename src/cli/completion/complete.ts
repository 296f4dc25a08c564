import { catalogue, type Command, type Field, flagOf } from '../../api/index.ts'
import { globalFlags } from '../../api/global-flags.ts'
import { optionTable } from '../../core/options/index.ts'

/** One proposal; `about` is for shells that show it. */
export interface Candidate {
  readonly value: string
  readonly about: string
}

/** What a word may be that only the node or the file system knows. */
export type Kind =
  | 'peer'
  | 'destination'
  | 'group'
  | 'agent'
  | 'message'
  | 'sent'
  | 'consumer'
  | 'invite'
  | 'token'
  | 'circuit'
  | 'file'
  | 'folder'
  | 'topic'

export interface Completion {
  readonly candidates: readonly Candidate[]
  /** Beginning with this word. */
  readonly prefix: string
  /** Also what is known elsewhere. */
  readonly kind?: Kind | undefined
  /** What was typed before it, so that the right profile is asked. */
  readonly globals: ReadonlyMap<string, string>
}

const commands: readonly Command[] = Object.values(catalogue)
const takesValue = (flags: string): boolean => flags.includes('<')
const globalNames = globalFlags.map(([flags, about]) => ({ name: flags.split(' ')[0] ?? '', about, hasValue: takesValue(flags) }))

/** What could stand in place of the word at `at` of a command line, of which word 0 is the program. */
export function complete(typed: readonly string[], at: number): Completion {
  const words = joinedFlags(typed.slice(1, at))
  const current = typed[at] ?? ''
  const globals = new Map<string, string>()
  const state = { words: [] as string[], flags: new Set<string>(), open: undefined as Open | undefined, ended: false }
  for (const word of words) step(state, word, globals)
  const [flag, value] = splitFlag(current, typed, at)
  const open = flag === undefined ? state.open : openOf(commandOf(state.words), flag)
  if (open !== undefined) return { ...valuesOf(open), prefix: value, globals }
  if (current.startsWith('-') && !state.ended) return { candidates: flagsOf(state.words, state.flags), prefix: current, globals }
  return { ...wordsOf(state.words), prefix: current, globals }
}

interface Open {
  readonly name: string
  readonly field: Field
  /** The first word of the command that it belongs to. */
  readonly group?: string | undefined
}

interface Typed {
  readonly words: string[]
  readonly flags: Set<string>
  open: Open | undefined
  ended: boolean
}

function step(state: Typed, word: string, globals: Map<string, string>): void {
  if (state.open !== undefined) {
    globals.set(state.open.name, word)
    state.open = undefined
  } else if (word === '--') state.ended = true
  else if (word.startsWith('-') && !state.ended) {
    const [flag = word, value] = word.startsWith('--') && word.includes('=') ? word.split(/=(.*)/s) : [word]
    state.flags.add(flag)
    if (value === undefined) state.open = openOf(commandOf(state.words), flag)
    else globals.set(flag, value)
  } else state.words.push(word)
}

/** Bash takes `--profile=alice` for three words. */
function joinedFlags(words: readonly string[]): readonly string[] {
  const joined: string[] = []
  for (const [index, word] of words.entries()) {
    const before = joined.at(-1)
    if (word === '=' && before?.startsWith('--') === true) joined[joined.length - 1] = `${before}=`
    else if (words[index - 1] === '=' && before?.startsWith('--') === true) joined[joined.length - 1] = before + word
    else joined.push(word)
  }
  return joined
}

/** The flag whose value is typed after a `=`, in one word or in three. */
function splitFlag(current: string, typed: readonly string[], at: number): readonly [string | undefined, string] {
  if (current.startsWith('--') && current.includes('=')) return [current.slice(0, current.indexOf('=')), current.slice(current.indexOf('=') + 1)]
  const [two, one] = [typed[at - 2], typed[at - 1]]
  if (current === '=' && one?.startsWith('--') === true) return [one, '']
  return one === '=' && two?.startsWith('--') === true ? [two, current] : [undefined, current]
}

/** The command of the words after `p2p`: the longest that fits, or what its first words alone do. */
function commandOf([program, ...rest]: readonly string[]): Command | undefined {
  if (program !== 'p2p') return undefined
  const named = commands.filter(({ words }) => words.every((word, index) => word === rest[index]))
  const longest = named.toSorted((one, other) => other.words.length - one.words.length)[0]
  return longest ?? commands.find(({ words, isDefault }) => isDefault === true && words.slice(0, -1).every((word, index) => word === rest[index]))
}

function openOf(command: Command | undefined, flag: string): Open | undefined {
  for (const [name, field] of Object.entries(command?.fields ?? {})) {
    if (flagOf(name, field) === flag || field.short === flag) return field.type === 'boolean' ? undefined : { name, field, group: command?.words[0] }
  }
  const global = globalNames.find(({ name, hasValue }) => name === flag && hasValue)
  return global === undefined ? undefined : { name: flag, field: { type: 'text', max: 1, help: global.about } }
}

/** Fields whose values live in the node, by the names that they have everywhere in the catalogue. */
const kinds: ReadonlyMap<string, Kind> = new Map([
  ['peer', 'peer'],
  ['peers', 'peer'],
  ['member', 'peer'],
  ['members', 'peer'],
  ['from', 'peer'],
  ['to', 'peer'],
  ['destination', 'destination'],
  ['group', 'group'],
  ['label', 'agent'],
  ['agent', 'agent'],
  ['id', 'message'],
  ['consumer', 'consumer'],
  ['circuit', 'circuit'],
  ['topic', 'topic'],
  ['--config', 'file'],
  ['--data-dir', 'folder']
])

/** Names that mean something else in one group of commands. */
const kindsOfGroups: ReadonlyMap<string, Kind> = new Map([
  ['outbox id', 'sent'],
  ['invite id', 'invite'],
  ['message id', 'sent'],
  ['inbox name', 'consumer'],
  ['gateway name', 'token']
])

function kindOf({ name, field, group }: Open): Kind | undefined {
  const placeholder = field.placeholder?.toUpperCase() ?? ''
  if (placeholder.endsWith('FILE') || /(^f|F)ile$/.test(name)) return 'file'
  return placeholder === 'FOLDER' ? 'folder' : (kindsOfGroups.get(`${group ?? ''} ${name}`) ?? kinds.get(name))
}

function valuesOf(open: Open): Pick<Completion, 'candidates' | 'kind'> {
  const { field } = open
  const choices = field.type === 'integer' ? field.values?.map(String) : 'choices' in field ? field.choices : undefined
  if (choices !== undefined) return { candidates: choices.map((value) => ({ value, about: '' })) }
  if (open.name === 'key') return { candidates: Object.entries(optionTable).map(([value, { help }]) => ({ value, about: help })) }
  return { candidates: [], kind: kindOf(open) }
}

function flagsOf(words: readonly string[], given: ReadonlySet<string>): readonly Candidate[] {
  const own = Object.entries(commandOf(words)?.fields ?? {}).flatMap(([name, field]) => {
    const flag = flagOf(name, field)
    if (flag === undefined || (given.has(flag) && field.type !== 'list')) return []
    const negated = field.type === 'boolean' && field.negatable === true ? [{ value: `--no-${flag.slice(2)}`, about: `not: ${field.help}` }] : []
    return [{ value: flag, about: field.help }, ...negated]
  })
  const names = new Set(own.map(({ value }) => value))
  const others = globalNames.filter(({ name }) => !names.has(name) && !given.has(name)).map(({ name, about }) => ({ value: name, about }))
  return [...own, ...others, { value: '--help', about: 'what it does and takes' }]
}

/** Commands while they are not complete, then what the next argument is. */
function wordsOf(typed: readonly string[]): Pick<Completion, 'candidates' | 'kind'> {
  const [program, ...rest] = typed
  if (program === undefined) return { candidates: [{ value: 'p2p', about: 'the node, its peers and their messages' }, helpWord] }
  if (program !== 'p2p') return { candidates: [], ...(program === 'help' ? { kind: 'topic' as const } : {}) }
  const next = nextWords(rest)
  const command = commandOf(typed)
  const isNamed = command?.words.every((word, index) => word === rest[index]) === true
  const named = command === undefined ? 0 : command.words.length - (isNamed ? 0 : 1)
  const argument = argumentAt(command, rest.length - named)
  if (argument === undefined) return { candidates: next }
  // Words of a command, as the subject of another one.
  const subject = rest.slice(named)
  if (argument.name === 'topic' || argument.name === 'command')
    return { candidates: nextWords(subject), kind: argument.name === 'topic' && subject.length === 0 ? 'topic' : undefined }
  const { candidates, kind } = valuesOf(argument)
  return { candidates: [...next, ...candidates], kind }
}

const helpWord = { value: 'help', about: catalogue.help.help }

/** What may follow the words of a command that are typed so far. */
function nextWords(typed: readonly string[]): readonly Candidate[] {
  const found = new Map<string, string>()
  for (const { words, help } of commands) {
    const next = words[typed.length]
    if (next !== undefined && typed.every((word, index) => word === words[index]) && !found.has(next)) found.set(next, help)
  }
  return [...found].map(([value, about]) => ({ value, about }))
}

function argumentAt(command: Command | undefined, position: number): Open | undefined {
  const all = Object.entries(command?.fields ?? {}).filter(([, field]) => field.position !== undefined)
  const exact = all.find(([, field]) => field.position === position)
  // A list takes all that follow.
  const found = exact ?? all.find(([, field]) => field.type === 'list' && (field.position ?? 0) < position)
  return found === undefined ? undefined : { name: found[0], field: found[1], group: command?.words[0] }
}
