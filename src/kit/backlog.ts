/**
 * Connections that the system may hold for a server until it accepts them; the system takes less where `net.core.somaxconn` says
 * so. Node asks for 511. When ten thousand agents dial at once that is full in the first moment, and what overflows is lost without
 * a word: whoever dialled takes the connection for made, and repeats its first message ever more rarely, for up to two minutes.
 * Not more than this, since whatever is held is accepted in one turn of the event loop.
 */
export const LISTEN_BACKLOG = 4_096;
