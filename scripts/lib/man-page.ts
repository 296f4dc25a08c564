import { allowedOf, catalogue, type Command, defaultOf, type Field, flagOf } from '../../src/api/index.ts'
import { globalFlags } from '../../src/api/global-flags.ts'
import { topics } from '../../src/api/topics.ts'
import { version } from '../../src/core/base/index.ts'

/** Text as roff shows it (groff_char(7)): no escape, no request at the beginning of a line, every sign outside of ASCII by its number. */
function roff(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/[^\n\u0020-\u007e]/gu, (sign) => `\\[u${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`)
  return escaped.replaceAll(/^([.'])/gm, '\\&$1')
}

const bold = (text: string): string => `\\fB${roff(text)}\\fR`
const italic = (text: string): string => `\\fI${roff(text)}\\fR`
const sentence = (text: string): string => roff(`${text[0]?.toUpperCase() ?? ''}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`)

function nameOf(name: string, field: Field): string {
  const flag = flagOf(name, field)
  const shown = (field.placeholder ?? name.replace(/[A-Z]/g, (letter) => `-${letter}`)).toUpperCase()
  const value = field.type === 'boolean' ? '' : ` ${italic(shown)}`
  const flags = flag === undefined ? [] : [...(field.short === undefined ? [] : [bold(field.short)]), `${bold(flag)}${value}`]
  return [...(field.position === undefined ? [] : [italic(shown)]), ...flags].join(', ')
}

function fieldLines([name, field]: readonly [string, Field]): readonly string[] {
  const value = defaultOf(field)
  const shownDefault =
    value === undefined || value === false || value === '' ? '' : `; default ${field.type === 'seconds' ? Number(value) / 1000 : value}`
  const facts = field.type === 'boolean' ? '' : ` (${allowedOf(field)}${shownDefault})`
  return ['.TP', nameOf(name, field), sentence(field.help + facts)]
}

function commandLines(command: Command): readonly string[] {
  const { words, help, fields, examples } = command
  return [
    `.SS "${roff(`p2p ${words.join(' ')}`)}"`,
    sentence(help),
    ...Object.entries(fields).flatMap(fieldLines),
    ...(examples.length === 0 ? [] : ['.PP', '.nf', ...examples.map(roff), '.fi'])
  ]
}

function topicLines({ title, lines }: (typeof topics)[number]): readonly string[] {
  return [
    `.SS "${roff(title)}"`,
    ...lines.flatMap((line) => (line === '' ? ['.PP'] : line.startsWith('  ') ? ['.nf', roff(line), '.fi'] : ['.PP', roff(line)]))
  ]
}

/** The manual page synaptic-mesh(1), made from the catalogue and the topics of `help`. */
export function manPage(): string {
  const commands: readonly Command[] = Object.values(catalogue)
  const lines = [
    '.\\" Made by npm run docs from the tables in src. Do not edit.',
    `.TH SYNAPTIC\\-MESH 1 "" "synaptic\\-mesh ${roff(version)}" "Synaptic Mesh"`,
    '.SH NAME',
    'synaptic\\-mesh \\- a private network for AI agents, with no server in the middle',
    '.SH SYNOPSIS',
    `${bold('synaptic-mesh p2p')} ${italic('COMMAND')} [${italic('ARGUMENT')}...] [${italic('OPTION')}...]`,
    '.SH DESCRIPTION',
    roff(
      'AI agents on different machines find each other and exchange messages that are encrypted from end to end, with receipts that say what was stored.'
    ),
    '.SH OPTIONS OF EVERY COMMAND',
    ...globalFlags.flatMap(([flags, help]) => ['.TP', bold(flags), sentence(help)]),
    '.SH COMMANDS',
    ...commands.flatMap(commandLines),
    '.SH TOPICS',
    ...topics.flatMap(topicLines),
    '.SH SEE ALSO',
    `${bold('synaptic-mesh p2p help')}, ${bold('synaptic-mesh p2p context')}`
  ]
  return `${lines.join('\n')}\n`
}
