import { Argument, Command as CommanderCommand, Option } from 'commander'
import {
  allowedOf,
  catalogue,
  type Command,
  type CommandName,
  defaultOf,
  type Field,
  type FieldInput,
  flagOf,
  meantBy,
  parseField,
  checkField
} from '../api/index.ts'
import { globalFlags } from '../api/global-flags.ts'
import { MeshError } from '../core/base/index.ts'

/** One command as it was typed. */
export interface Invocation {
  readonly name: CommandName
  readonly input: Readonly<Record<string, FieldInput>>
  readonly globals: Readonly<Record<string, unknown>>
}

interface Built {
  readonly root: CommanderCommand
  /** Set by the action of the command that was typed. */
  invocation: Invocation | undefined
}

/** The commands as commander knows them, made from the catalogue. */
export function buildProgram(version: string): Built {
  const root = new CommanderCommand('synaptic-mesh').description('A private network for AI agents, with no server in the middle.').version(version)
  const p2p = root.command('p2p').description('the node, its peers and their messages')
  const built: Built = { root, invocation: undefined }
  const groups = new Map<string, CommanderCommand>()
  for (const [name, command] of Object.entries(catalogue) as [CommandName, Command][]) addCommand(built, { name, command, parent: p2p, groups })
  // Also without p2p, where people look for it first.
  addCommand(built, { name: 'help', command: catalogue.help, parent: root, groups })
  for (const [word, group] of groups) addGroupHelp(word, group)
  for (const each of [root, p2p, ...groups.values()]) addGlobals(each)
  return built
}

/** What the command of a group takes that runs when none of it is named, and examples of all. */
function addGroupHelp(word: string, group: CommanderCommand): void {
  const depth = word.split(' ').length
  const members = (Object.values(catalogue) as readonly Command[]).filter(
    ({ words }) => words.length > depth && words.slice(0, depth).join(' ') === word
  )
  const own = members.find(({ isDefault, words }) => isDefault === true && words.length === depth + 1)
  const second = own?.words[depth]
  const leaf = group.commands.find((each) => each.name() === second)
  const taken = leaf?.registeredArguments.map((argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`)).join(' ') ?? ''
  if (taken !== '') group.usage(`[${second}] ${taken} [options]\n       synaptic-mesh p2p ${word} COMMAND [options]`)
  const more = own === undefined ? [] : [`\nWithout a command it is \`${word} ${second}\`; its options: synaptic-mesh p2p ${word} ${second} --help`]
  const examples = members.flatMap((each) => each.examples).map((example) => `  ${example}`)
  group.addHelpText('after', [...more, '\nExamples:', ...examples].join('\n'))
}

interface Addition {
  readonly name: CommandName
  readonly command: Command
  readonly parent: CommanderCommand
  readonly groups: Map<string, CommanderCommand>
}

function addCommand(built: Built, { name, command, parent, groups }: Addition): void {
  const group = groupOf(command.words.slice(0, -1), parent, groups)
  const leaf = group.command(command.words.at(-1) ?? '', { isDefault: command.isDefault === true })
  leaf.description(command.help).allowExcessArguments(false).showSuggestionAfterError(true)
  const fields = Object.entries(command.fields)
  const positionals = fields.filter(([, field]) => field.position !== undefined).sort(([, a], [, b]) => (a.position ?? 0) - (b.position ?? 0))
  for (const [fieldName, field] of positionals) leaf.addArgument(argumentOf(fieldName, field))
  for (const [fieldName, field] of fields) addFlags(leaf, fieldName, field)
  addGlobals(leaf, command.fields['timeoutMs']?.help)
  if (command.examples.length > 0) leaf.addHelpText('after', `\nExamples:\n${command.examples.map((example) => `  ${example}`).join('\n')}`)
  leaf.action(() => {
    built.invocation = { name, input: readInput(command, leaf), globals: leaf.optsWithGlobals() }
  })
}

/** The command that holds those below `words`, made when it is not there yet. */
function groupOf(words: readonly string[], root: CommanderCommand, groups: Map<string, CommanderCommand>): CommanderCommand {
  const key = words.join(' ')
  const known = key === '' ? root : groups.get(key)
  if (known !== undefined) return known
  const group = groupOf(words.slice(0, -1), root, groups)
    .command(words.at(-1) ?? '')
    .description(groupHelp.get(key) ?? key)
  groups.set(key, group)
  return group
}

const groupHelp: ReadonlyMap<string, string> = new Map([
  ['relay', 'what this node does for others'],
  ['service', 'have the daemon started whenever you log in; alone it tells how that stands'],
  ['peer', 'who is trusted: names, rights and blocks; alone it lists paired and blocked peers'],
  ['circuit', 'onion circuits to peers: with a PEER it builds one, measures it, and says what it hides and what not'],
  ['group', 'groups of nodes: what is sent to one goes to all its members; alone it lists them'],
  ['agent', 'agents behind this node; alone it lists them'],
  ['invite', 'invites for peers to pair with this node; alone it makes one'],
  ['gateway', 'REST, events, a WebSocket and metrics on 127.0.0.1; alone it starts it'],
  ['gateway token', 'tokens of the gateway that outlast restarts'],
  ['inbox', 'messages that arrived; alone it lists them'],
  ['outbox', 'messages that were sent; alone it lists them'],
  ['config', 'options of the profile; alone it prints them'],
  ['keys', 'identity, passphrase and backups; alone it prints the public key']
])

/** `timeout`: what --timeout means here, where it means something of its own. */
function addGlobals(command: CommanderCommand, timeout?: string): void {
  for (const [flags, help] of globalFlags) command.addOption(new Option(flags, flags.startsWith('--timeout') ? (timeout ?? help) : help))
}

const placeholder = (name: string, field: Field): string => (field.placeholder ?? name.replace(/[A-Z]/g, (letter) => `-${letter}`)).toUpperCase()

function argumentOf(name: string, field: Field): Argument {
  const shown = `${placeholder(name, field)}${field.type === 'list' ? '...' : ''}`
  return new Argument(field.required === true ? `<${shown}>` : `[${shown}]`, field.help)
}

function addFlags(leaf: CommanderCommand, name: string, field: Field): void {
  const flag = flagOf(name, field)
  // --timeout is there everywhere.
  if (flag === undefined || flag === '--timeout') return
  const short = field.short === undefined ? '' : `${field.short}, `
  if (field.type === 'boolean') {
    const option = new Option(`${short}${flag}`, field.help)
    // A field of its own, such as --no-relay beside --relay ADDRESS, and not the end of another one.
    option.negate = false
    leaf.addOption(option)
    if (field.negatable === true) leaf.addOption(new Option(`--no-${flag.slice(2)}`, `not: ${field.help}`))
    return
  }
  const option = new Option(`${short}${flag} <${placeholder(name, field)}>`, `${field.help} (${allowedOf(field)}${defaultText(field)})`)
  if (field.type === 'list') option.argParser((text: string, previous: readonly string[] | undefined) => [...(previous ?? []), text])
  if (field.required === true && field.position === undefined) option.makeOptionMandatory()
  leaf.addOption(option)
}

function defaultText(field: Field): string {
  const value = defaultOf(field)
  return value === undefined || value === '' ? '' : `; default ${String(value)}`
}

function readInput(command: Command, leaf: CommanderCommand): Readonly<Record<string, FieldInput>> {
  const input: Record<string, FieldInput> = {}
  const options = new Map<string, unknown>(Object.entries(leaf.opts()))
  const texts = leaf.processedArgs as readonly unknown[]
  for (const [name, field] of Object.entries(command.fields)) {
    const flag = flagOf(name, field)
    const path = flag ?? placeholder(name, field)
    const typed = flag === undefined ? undefined : options.get(attributeOf(flag))
    const positional = field.position === undefined ? undefined : texts[field.position]
    if (typed !== undefined && positional !== undefined)
      throw new MeshError('USAGE', { problem: `${placeholder(name, field)} is given twice: as an argument and as ${flag ?? ''}` })
    const raw = typed ?? positional
    const value = raw === undefined ? defaultOf(field) : readValue(field, raw, path)
    if (value !== undefined) input[name] = value
  }
  return input
}

/** The name that commander gives to the value of a flag. */
const attributeOf = (flag: string): string => flag.slice(2).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

function readValue(field: Field, raw: unknown, path: string): FieldInput {
  if (Array.isArray(raw)) {
    const texts = raw.map(String)
    return checkField(
      field,
      field.position === undefined
        ? texts
            .flatMap((text) => text.split(','))
            .filter((text) => text !== '')
            .map((text) => meantBy(field, text))
        : texts,
      path
    )
  }
  if (typeof raw === 'boolean') return checkField(field, raw, path)
  return parseField(field, String(raw), { path, isSeconds: true })
}
