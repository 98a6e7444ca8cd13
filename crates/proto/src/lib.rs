//! WebSocket as a sans-IO state machine.
