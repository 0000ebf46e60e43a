// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// An ERC-20 without value, for the local chain. Its maker mints as much as it likes.
contract TestToken is ERC20 {
    address private immutable _minter;
    uint8 private immutable _decimals;

    error NotMinter(address caller);

    constructor(string memory name, string memory symbol, uint8 decimals_) ERC20(name, symbol) {
        _minter = msg.sender;
        _decimals = decimals_;
    }

    function mint(address to, uint256 amount) external {
        if (msg.sender != _minter) revert NotMinter(msg.sender);
        _mint(to, amount);
    }

    function decimals() public view override returns (uint8) {
        return _decimals;
    }
}
