#!/usr/bin/env python3
"""A client of the Synaptic Mesh gateway with Python's standard library only (Python 3.9 or newer).

    synaptic-mesh p2p gateway token create --name python --scope agent > token && chmod 600 token
    synaptic-mesh p2p gateway --port 9400 &

    client.py --token-file token send agent-001 "Processing sensory data" --type thought
    client.py --token-file token poll           # waits for a message, prints it, acknowledges it
    client.py --token-file token events         # what happens, from now on or --after CURSOR

The token comes from a file: an argument or the environment could be read by others.
"""
import argparse
import http.client
import json
import os
import stat
import sys

HOST = '127.0.0.1'
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class MeshError(Exception):
    """What the gateway said: `code` is stable, `hint` says what to do next."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error['code']
        self.hint = error['hint']


class Gateway:
    """The gateway of one node. A call waits at most `timeout` seconds for the next bytes."""

    def __init__(self, token, port=9400, timeout=60):
        self._port = port
        self._timeout = timeout
        self._headers = {'Authorization': f'Bearer {token}'}

    def send(self, destination, content, **options):
        """Sends a message; returns what became of it: `status` is stored once the peer has it on its disk."""
        return self._call('POST', '/v1/messages', {'destination': destination, 'content': content, **options})

    def poll(self, **options):
        """Waits for a message and returns it. It comes again until it is acknowledged."""
        connection, response = self._open('POST', '/v1/listen', {'once': True, **options})
        try:
            return self._answer(response)
        finally:
            connection.close()

    def ack(self, message):
        """Says that a message was handled: it never comes again, and its sender learns that it was read."""
        return self._call('POST', '/v1/inbox/ack', {'id': [message['id']], 'from': message['source']})

    def events(self, after=None):
        """What happens, as (event, cursor, data). With the cursor of the last one as `after` nothing is missed."""
        path = '/v1/events' if after is None else f'/v1/events?after={after}'
        connection, response = self._open('GET', path, None)
        try:
            if response.status != 200:
                self._answer(response)
            event, cursor, data = 'message', after, []
            for raw in response:
                line = raw.decode('utf-8').rstrip('\n')
                name, _, value = line.partition(':')
                value = value[1:] if value.startswith(' ') else value
                if line == '':
                    if data:
                        yield event, cursor, json.loads('\n'.join(data))
                    event, data = 'message', []
                elif name == 'event':
                    event = value
                elif name == 'id':
                    cursor = value
                elif name == 'data':
                    data.append(value)
        finally:
            connection.close()

    def _call(self, method, path, body):
        connection, response = self._open(method, path, body)
        try:
            return self._answer(response)
        finally:
            connection.close()

    def _open(self, method, path, body):
        connection = http.client.HTTPConnection(HOST, self._port, timeout=self._timeout)
        headers = dict(self._headers)
        if body is not None:
            headers['Content-Type'] = 'application/json'
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        return connection, connection.getresponse()

    @staticmethod
    def _answer(response):
        answer = json.loads(response.read(MAX_ANSWER_BYTES))
        if 'error' in answer and 'code' in (answer['error'] or {}) and 'id' not in answer:
            raise MeshError(answer['error'])
        return answer


def read_token(path):
    """The token in a file that nobody else can read."""
    if os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        sys.exit(f'{path} is open to others: chmod 600 {path}')
    with open(path, encoding='ascii') as file:
        return file.read().strip()


def main():
    parser = argparse.ArgumentParser(description='talk to a Synaptic Mesh node')
    parser.add_argument('--token-file', required=True)
    parser.add_argument('--port', type=int, default=9400)
    commands = parser.add_subparsers(dest='command', required=True)
    send = commands.add_parser('send')
    send.add_argument('destination')
    send.add_argument('content')
    send.add_argument('--type', default='thought')
    commands.add_parser('poll')
    events = commands.add_parser('events')
    events.add_argument('--after')
    events.add_argument('--count', type=int, default=0, help='end after so many; 0: never')
    given = parser.parse_args()
    gateway = Gateway(read_token(given.token_file), given.port)
    try:
        if given.command == 'send':
            print(json.dumps(gateway.send(given.destination, given.content, msgType=given.type)))
        elif given.command == 'poll':
            message = gateway.poll()
            print(json.dumps(message), flush=True)
            if message['delivery'] == 'durable':
                gateway.ack(message)
        else:
            for seen, (event, cursor, data) in enumerate(gateway.events(given.after), 1):
                print(json.dumps({'event': event, 'cursor': cursor, 'data': data}), flush=True)
                if seen == given.count:
                    return
    except MeshError as error:
        sys.exit(f'{error}\n{error.hint}')


if __name__ == '__main__':
    main()
