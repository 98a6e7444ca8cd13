// Echo server on uWebSockets: `echo ADDR [--deflate] [--tls CERTIFICATE KEY]`, which prints the address it got. From a checkout
// with its submodules:
//
//   WITH_OPENSSL=1 make -C uSockets
//   c++ -O3 -march=native -flto -std=c++20 -DLIBUS_USE_OPENSSL -I src -I uSockets/src PATH/TO/echo.cpp uSockets/uSockets.a -lz -lssl -lcrypto -o echo
//
// As its example EchoServer.cpp; compressed, if at all, with what all connections share, each message for itself.

#include <cstdlib>
#include <iostream>
#include <string>

#include "App.h"

struct PerSocketData {};

template <bool SSL> void serve(uWS::TemplatedApp<SSL> app, std::string address, bool deflate) {
    std::string host = address.substr(0, address.find(':'));
    int port = std::atoi(address.c_str() + host.size() + 1);
    std::move(app)
        .template ws<PerSocketData>("/*",
            {.compression = deflate ? uWS::CompressOptions(uWS::SHARED_COMPRESSOR | uWS::SHARED_DECOMPRESSOR) : uWS::DISABLED,
             .maxPayloadLength = 32 * 1024 * 1024,
             .idleTimeout = 0,
             .maxBackpressure = 64 * 1024 * 1024,
             .message = [deflate](auto *ws, std::string_view message, uWS::OpCode opCode) { ws->send(message, opCode, deflate); }})
        .listen(host, port,
            [&](auto *socket) {
                if (!socket) {
                    std::exit(1);
                }
                port = us_socket_local_port(SSL, (us_socket_t *) socket);
                std::cout << "listening on " << host << ":" << port << std::endl;
            })
        .run();
}

int main(int argc, char **argv) {
    std::string address = argc > 1 ? argv[1] : "127.0.0.1:0";
    bool deflate = false;
    for (int at = 2; at < argc; at++) {
        std::string argument = argv[at];
        if (argument == "--deflate") {
            deflate = true;
        } else if (argument == "--tls" && at + 2 < argc) {
            serve(uWS::SSLApp({.key_file_name = argv[at + 2], .cert_file_name = argv[at + 1]}), address, deflate);
            return 0;
        }
    }
    serve(uWS::App(), address, deflate);
}
