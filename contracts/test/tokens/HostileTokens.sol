// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

contract MintableToken is ERC20("Hostile", "HST") {
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// Keeps one percent of every transfer.
contract FeeToken is MintableToken {
    function _update(address from, address to, uint256 amount) internal override {
        if (from == address(0) || to == address(0)) return super._update(from, to, amount);
        uint256 fee = amount / 100;
        super._update(from, to, amount - fee);
        if (fee > 0) super._update(from, address(0xdead), fee);
    }
}

/// Keeps all of a transfer.
contract SwallowingToken is MintableToken {
    function _update(address from, address to, uint256 amount) internal override {
        bool mints = from == address(0);
        super._update(from, mints ? to : address(0xdead), amount);
    }
}

/// Answers false instead of failing, and moves nothing.
contract FalseToken is MintableToken {
    function transfer(address, uint256) public pure override returns (bool) {
        return false;
    }

    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// Refuses one recipient, as a stablecoin's block list does.
contract BlockingToken is MintableToken {
    address private _blocked;

    error Blocked(address account);

    function blockAccount(address account) external {
        _blocked = account;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (to == _blocked) revert Blocked(to);
        super._update(from, to, amount);
    }
}

/// Calls somebody in the middle of a transfer.
contract CallingToken is MintableToken {
    address private _target;
    bytes private _data;
    bool public called;
    bool public succeeded;

    function callOnTransfer(address target, bytes calldata data) external {
        _target = target;
        _data = data;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (_target != address(0) && from != address(0)) {
            called = true;
            (succeeded,) = _target.call(_data);
        }
        super._update(from, to, amount);
    }
}

/// An old token whose functions answer nothing.
contract NoReturnToken {
    mapping(address account => uint256 amount) public balanceOf;
    mapping(address owner => mapping(address spender => uint256 amount)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}
