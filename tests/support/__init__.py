"""What tests stand on; take the least of these rigs that can show the fault.

| You want to show                                    | Take                                            |
|-----------------------------------------------------|-------------------------------------------------|
| that the API answers as it should                   | `servers.served_api` over `fake_executions`     |
| what one handler does with its config and answers   | `rigs.handler_runs`, `rigs.llm_runs`            |
| what an order of messages or a kill does to a state | `rigs.harness`, with `faults`                   |
| what the broker delivers, once or again             | `rigs.broker_rig`; `rigs.broker_process` to kill |
| that parts under real Workers survive their deaths  | `rigs.live_stack`, with `faults`                |
| what a user sees of commands, processes, signals    | `rigs.stack_processes`                          |

`servers` holds what a rig talks to: Valkey, HTTP services, language models, a proxy that breaks
connections. `checks` says what must hold whatever a test did; the harness asks it by itself.
"""
