import { allowedOf, catalogue, type Command, defaultOf, type Field, flagOf } from '../../src/api/index.ts'
import { code, page, table } from './markdown.ts'

function nameOf(name: string, field: Field): string {
  const flag = flagOf(name, field)
  const argument = field.position === undefined ? [] : [(field.placeholder ?? name).toUpperCase()]
  const flags = flag === undefined ? [] : [flag, ...(flag === '--mdns' ? ['--no-mdns'] : []), ...(field.short === undefined ? [] : [field.short])]
  return [...argument, ...flags].map(code).join(' or ')
}

function defaultText(field: Field): string {
  if (field.required === true) return 'required'
  const value = defaultOf(field)
  if (value === undefined || value === false) return ''
  return code(field.type === 'seconds' ? String(Number(value) / 1000) : String(value))
}

function section(command: Command): string {
  const rows = Object.entries(command.fields).map(([name, field]) => [
    nameOf(name, field),
    field.help,
    field.type === 'boolean' ? '' : allowedOf(field),
    defaultText(field)
  ])
  const { route } = command
  const parts = [
    `## p2p ${command.words.join(' ')}`,
    `${command.help[0]?.toUpperCase()}${command.help.slice(1)}.${command.isDefault === true ? ` Also what ${code(`p2p ${command.words[0]}`)} alone does.` : ''}`,
    rows.length > 0 ? table(['Input', 'Meaning', 'Allowed', 'Default'], rows) : '',
    command.examples.length > 0 ? `\`\`\`sh\n${command.examples.join('\n')}\n\`\`\`` : '',
    command.errors.length > 0 ? `May end with ${command.errors.map((name) => `[${name}](errors.md#${name.toLowerCase()})`).join(', ')}.` : '',
    route === undefined
      ? ''
      : `Control API: ${code(`${route.method} ${route.path}`)}, scope ${code(route.scope)}${route.stream === undefined ? '' : ', a line of JSON for each item'}${route.socketOnly === true ? ', over the socket only' : ''}.`
  ]
  return parts.filter((part) => part !== '').join('\n\n')
}

const intro = `Every command begins with ${code('synaptic-mesh')}. All of them also take ${code('--json')} (exactly one JSON value on stdout; of a stream, one on each line), ${code('--profile NAME')}, ${code('--config FILE')}, ${code('--data-dir FOLDER')}, ${code('--timeout SECONDS')}, ${code('--quiet')} (only the result), ${code('--no-start')} (never start a daemon) and ${code('--ephemeral')} (run the node in the command's own process, for as long as it takes). An error is told on stderr, under ${code('--json')} as JSON, and sets the [exit code](errors.md).`

export function commandsPage(): string {
  const commands: readonly Command[] = Object.values(catalogue)
  return page('Commands', [intro, ...commands.map(section)])
}
