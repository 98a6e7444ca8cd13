// Java's own java.net.http as the client of `openline serve`: java Peer.java ws://127.0.0.1:PORT
//
// It is the strictest common client: it refuses a 101 with a field too many, and sends fragments of its own choosing.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public class Peer {
    static String server;
    static int passed, failed;

    public static void main(String[] args) {
        server = args[0];
        test("text comes back as it went", () -> echoes("Ping", "", "zwölf Boxkämpfer 🥊", "x".repeat(300_000)));
        test("binary comes back as it went", () -> echoes(new byte[] {0, -1, -128}, new byte[0], new byte[300_000]));
        test("a message in fragments comes back whole", Peer::fragments);
        test("a ping is answered with what it carried", Peer::ping);
        test("the first subprotocol is chosen, and none without an offer", Peer::subprotocol);
        test("the close code comes back", Peer::close);
        test("in the chat everyone hears every other", Peer::chat);
        test("the counter counts and starts again", Peer::increment);
        test("the counter wants its subprotocol", Peer::refused);
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed == 0 && passed > 0 ? 0 : 1);
    }

    static void echoes(Object... messages) throws Exception {
        Line line = new Line("/test");
        for (Object message : messages) {
            line.send(message);
            line.expect(message);
        }
    }

    static void fragments() throws Exception {
        Line line = new Line("/test");
        line.socket.sendText("one ", false).join();
        line.socket.sendText("", false).join();
        line.socket.sendText("two", true).join();
        line.expect("one two");
    }

    static void ping() throws Exception {
        Line line = new Line("/test");
        line.socket.sendPing(ByteBuffer.wrap("are you there?".getBytes(StandardCharsets.UTF_8))).join();
        line.expect("pong: are you there?");
    }

    static void subprotocol() throws Exception {
        same("soap", new Line("/test", "soap", "wamp").socket.getSubprotocol());
        same("", new Line("/test").socket.getSubprotocol());
    }

    static void close() throws Exception {
        for (int code : new int[] {1000, 3000, 4999}) {
            Line line = new Line("/test");
            line.socket.sendClose(code, "going home").join();
            line.expect("closed: " + code);
        }
    }

    static void chat() throws Exception {
        Line ann = new Line("/chat", "chat");
        Line ben = new Line("/chat");
        same("chat", ann.socket.getSubprotocol());
        ann.send("hello from Ann");
        ben.expect("hello from Ann");
        ben.send("hello from Ben");
        ann.expect("hello from Ben"); // had Ann heard herself, that would come first
    }

    static void increment() throws Exception {
        Line line = new Line("/increment", "dumb-increment-protocol");
        line.expect("0");
        line.expect("1");
        line.send("reset\n");
        while (!line.next().equals("0")) {}
        line.expect("1");
    }

    static void refused() throws Exception {
        try {
            new Line("/increment");
        } catch (CompletionException failure) {
            same(400, ((WebSocketHandshakeException) failure.getCause()).getResponse().statusCode());
            return;
        }
        throw new AssertionError("it was let in");
    }

    /** An open WebSocket, whose events can be awaited in turn. */
    static class Line implements WebSocket.Listener {
        final BlockingQueue<Object> events = new LinkedBlockingQueue<>();
        final StringBuilder text = new StringBuilder();
        final java.io.ByteArrayOutputStream data = new java.io.ByteArrayOutputStream();
        final WebSocket socket;

        Line(String path, String... protocols) {
            WebSocket.Builder builder = HttpClient.newHttpClient().newWebSocketBuilder();
            if (protocols.length > 0) {
                builder.subprotocols(protocols[0], Arrays.copyOfRange(protocols, 1, protocols.length));
            }
            socket = builder.buildAsync(URI.create(server + path), this).join();
        }

        void send(Object message) {
            if (message instanceof String) {
                socket.sendText((String) message, true).join();
            } else {
                socket.sendBinary(ByteBuffer.wrap((byte[]) message), true).join();
            }
        }

        Object next() throws Exception {
            return Objects.requireNonNull(events.poll(10, TimeUnit.SECONDS), "nothing came for 10 s");
        }

        void expect(Object message) throws Exception {
            same(message, next());
        }

        public CompletionStage<?> onText(WebSocket socket, CharSequence part, boolean last) {
            text.append(part);
            if (last) {
                events.add(text.toString());
                text.setLength(0);
            }
            socket.request(1);
            return null;
        }

        public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer part, boolean last) {
            while (part.hasRemaining()) {
                data.write(part.get());
            }
            if (last) {
                events.add(data.toByteArray());
                data.reset();
            }
            socket.request(1);
            return null;
        }

        public CompletionStage<?> onPong(WebSocket socket, ByteBuffer payload) {
            events.add("pong: " + StandardCharsets.UTF_8.decode(payload));
            socket.request(1);
            return null;
        }

        public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            events.add("closed: " + code);
            return null;
        }

        public void onError(WebSocket socket, Throwable error) {
            events.add("error: " + error);
        }
    }

    interface Test {
        void run() throws Exception;
    }

    static void test(String name, Test test) {
        try {
            test.run();
            passed++;
            System.out.println("ok   " + name);
        } catch (Exception | AssertionError problem) {
            failed++;
            System.out.println("FAIL " + name + ": " + problem);
        }
    }

    static void same(Object expected, Object found) {
        if (!Objects.deepEquals(expected, found)) {
            throw new AssertionError("expected " + show(expected) + ", found " + show(found));
        }
    }

    static String show(Object value) {
        String text = value instanceof byte[] ? ((byte[]) value).length + " bytes" : String.valueOf(value);
        return text.length() > 100 ? text.substring(0, 100) + "…" : text;
    }
}
